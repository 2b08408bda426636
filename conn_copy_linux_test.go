package eddy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/seccomptest"
)

func init() {
	roles["no sendfile"] = func() { endRole(copiesBySystemCall()) }
}

// A copy from a file is sendfile's and one between connections splice's work: a
// process in which those answer with an error of their own cannot copy. Only with
// the portable backend no splice may happen, for it is std's, and whoever wrote
// beside it would wait for as long as its source has nothing.
func TestCopyMakesTheWrongSystemCall(t *testing.T) { roleInChild(t, "no sendfile") }

func localPair(network string) (client, server *eddy.Conn, err error) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = "@eddy-copy-test"
	}
	l, err := eddy.Listen(network, address)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if client, err = eddy.Dial(network, l.Addr().String()); err != nil {
		return nil, nil, err
	}
	server, err = l.AcceptConn()
	return client, server, err
}

func copiesBySystemCall() error {
	file, err := os.CreateTemp("", "eddy")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(pattern(1 << 16)); err != nil {
		return err
	}
	in, source, err := localPair("tcp")
	if err != nil {
		return err
	}
	target, _, err := localPair("tcp")
	if err != nil {
		return err
	}
	toUnix, _, err := localPair("unix")
	if err != nil {
		return err
	}
	own, err := eddy.Open(file.Name())
	if err != nil {
		return err
	}
	if _, err := in.Write(pattern(1000)); err != nil {
		return err
	}
	in.CloseWrite()
	portable := eddy.Default().Status().Backend == eddy.BackendPortable
	if err := errors.Join(seccomptest.Deny(unix.EDOM, unix.SYS_SENDFILE), seccomptest.Deny(unix.ENOANO, unix.SYS_SPLICE)); err != nil {
		return err
	}
	for _, c := range []struct {
		what string
		from io.Reader
		to   io.Writer
		call string
		want syscall.Errno
	}{
		{"an *os.File", file, target, "sendfile", unix.EDOM},
		{"an *eddy.File", own, target, "sendfile", unix.EDOM},
		{"a part of an *os.File", io.LimitReader(file, 10), target, "sendfile", unix.EDOM},
		{"a part of an *eddy.File", io.LimitReader(own, 10), target, "sendfile", unix.EDOM},
		{"a connection", source, target, "splice", unix.ENOANO},
		{"a part of a connection", io.LimitReader(source, 10), target, "splice", unix.ENOANO},
	} {
		file.Seek(0, io.SeekStart)
		_, err := io.Copy(c.to, c.from)
		if portable && c.call == "splice" {
			if err != nil {
				return fmt.Errorf("copying %s needs splice: %w", c.what, err)
			}
			continue
		}
		var call *os.SyscallError
		var op *net.OpError
		if !errors.Is(err, c.want) || !errors.As(err, &call) || call.Syscall != c.call || !errors.As(err, &op) {
			return fmt.Errorf("copying %s did not end with %s: %w but with %v", c.what, c.call, c.want, err)
		}
	}
	if portable {
		return nil // std has no system call for Unix
	}
	if _, err := io.Copy(toUnix, source); !errors.Is(err, unix.ENOANO) {
		return fmt.Errorf("from TCP to Unix: %v", err)
	}
	if _, err := io.Copy(toUnix, file); !errors.Is(err, unix.EDOM) {
		return fmt.Errorf("from a file to Unix: %v", err)
	}
	return nil
}
