package eddy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/seccomptest"
)

func init() {
	roles["no sendfile"] = copiesBySystemCall
	roles["no recvfrom"] = copiesToFile
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
	stdTarget, stdSource, err := stdPair()
	if err != nil {
		return err
	}
	if _, err := stdTarget.Write(pattern(1000)); err != nil {
		return err
	}
	stdTarget.(*net.TCPConn).CloseWrite()
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
		{"a connection of package net", stdSource, target, "splice", unix.ENOANO},
		{"a part of a connection of package net", io.LimitReader(stdSource, 10), target, "splice", unix.ENOANO},
		{"a connection to one of package net", source, stdTarget, "splice", unix.ENOANO},
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

// What a connection yields goes to a regular file by splice: without recvfrom and
// read it is all there. The portable backend reads.
func TestCopyToFileGoesThroughMemory(t *testing.T) { roleInChild(t, "no recvfrom") }

func copiesToFile() error {
	if eddy.Default().Status().Backend == eddy.BackendPortable {
		return nil
	}
	file, err := os.CreateTemp("", "eddy")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	own, err := eddy.OpenFile(file.Name(), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	copies := map[string]func(c *eddy.Conn) (int64, error){
		"to an *os.File":              func(c *eddy.Conn) (int64, error) { return io.Copy(file, c) },
		"to an *eddy.File":            func(c *eddy.Conn) (int64, error) { return io.Copy(own, c) },
		"by an *eddy.File":            func(c *eddy.Conn) (int64, error) { return own.ReadFrom(c) },
		"of a part, by an *eddy.File": func(c *eddy.Conn) (int64, error) { return io.CopyN(own, c, 1000) },
	}
	sources := map[string]*eddy.Conn{}
	for what := range copies {
		in, source, err := localPair("tcp")
		if err != nil {
			return err
		}
		if _, err := in.Write(pattern(1000)); err != nil {
			return err
		}
		in.CloseWrite()
		sources[what] = source
	}
	if err := seccomptest.Deny(unix.EDOM, unix.SYS_RECVFROM); err != nil {
		return err
	}
	for what, copy := range copies {
		if n, err := copy(sources[what]); n != 1000 || err != nil {
			return fmt.Errorf("%s: %d, %w", what, n, err)
		}
	}
	return copiesUntilFull(file)
}

// copiesUntilFull copies more than a file may become: what was written counts, and
// the rest is an error of the file's.
func copiesUntilFull(file *os.File) error {
	const room = 5000
	in, source, err := localPair("tcp")
	if err != nil {
		return err
	}
	if _, err := in.Write(pattern(2 * room)); err != nil {
		return err
	}
	in.CloseWrite()
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: room, Max: room}); err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(0), seekStart(file)); err != nil {
		return err
	}
	n, err := io.Copy(file, source)
	var failure *fs.PathError
	var op *net.OpError
	if n != room || !errors.Is(err, unix.EFBIG) || !errors.As(err, &failure) || failure.Path != file.Name() || !errors.As(err, &op) || op.Op != "writeto" {
		return fmt.Errorf("to a file that may not grow further: %d, %w", n, err)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil || !bytes.Equal(got, pattern(2 * room)[:room]) {
		return fmt.Errorf("the file has %d bytes, and not the first %d: %w", len(got), room, err)
	}
	return nil
}

func seekStart(file *os.File) error {
	_, err := file.Seek(0, io.SeekStart)
	return err
}
