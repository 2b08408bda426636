package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// O_NONBLOCK belongs to what is open, and whoever shares it can take it away. A
// call that the scheduler knows nothing of would block then, and with it the next
// collection and the whole process, which only SIGKILL ends: hence the child.
func TestSocketMadeBlockingByAnotherProcessStopsEverything(t *testing.T) {
	inChild(t, "has blocking sockets")
}

// hasBlockingSockets makes every call that moves bytes wait, on sockets that are
// blocking: each has to be ended by its deadline.
func hasBlockingSockets(d *eddy.Driver) error {
	ctx := context.Background()
	l, err := d.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer peer.Close()
	stream, err := l.Accept()
	if err != nil {
		return err
	}
	defer stream.Close()
	datagrams, err := d.ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer datagrams.Close()
	sender, err := net.Dial("udp", datagrams.LocalAddr().String())
	if err != nil {
		return err
	}
	defer sender.Close()
	if err := errors.Join(makeBlocking(stream.(*eddy.Conn)), makeBlocking(datagrams)); err != nil {
		return err
	}

	// Data first, exactly as many as are read: readiness is kept after them.
	small, large := make([]byte, 16), make([]byte, 1<<20)
	for _, read := range []struct {
		name string
		from net.Conn
		on   interface{ SetReadDeadline(time.Time) error }
		call func(p []byte) error
	}{
		{"Read", peer, stream.(*eddy.Conn), func(p []byte) error { _, err := stream.Read(p); return err }},
		{"ReadFrom", sender, datagrams, func(p []byte) error { _, _, err := datagrams.ReadFrom(p); return err }},
		{"ReadMsgUDPAddrPort", sender, datagrams, func(p []byte) error { _, _, _, _, err := datagrams.ReadMsgUDPAddrPort(p, nil); return err }},
		{"ReadBatch", sender, datagrams, func(p []byte) error {
			_, err := datagrams.ReadBatch(ctx, []eddy.Message{{Buf: p}, {Buf: p}})
			return err
		}},
	} {
		for _, p := range [][]byte{small, large} {
			if _, err := read.from.Write(p[:16]); err != nil {
				return err
			}
			if err := errors.Join(read.on.SetReadDeadline(time.Time{}), read.call(p)); err != nil {
				return fmt.Errorf("%s of %d bytes: %w", read.name, len(p), err)
			}
			err := ended(read.on.SetReadDeadline, func() error { return read.call(p) })
			if err != nil {
				return fmt.Errorf("%s of %d bytes, of which there are none: %w", read.name, len(p), err)
			}
		}
	}
	for _, p := range [][]byte{large, small} {
		err := ended(stream.SetWriteDeadline, func() error {
			for {
				if _, err := stream.Write(p); err != nil {
					return err
				}
			}
		})
		if err != nil {
			return fmt.Errorf("Write of %d bytes: %w", len(p), err)
		}
	}
	return nil
}

// ended makes a call that only its deadline can end, while the collector runs.
func ended(deadline func(time.Time) error, call func() error) error {
	if err := deadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() { result <- call() }()
	for {
		select {
		case err := <-result:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("%w instead of the deadline's", err)
			}
			return nil
		default:
			runtime.GC()
		}
	}
}

// makeBlocking does what a child process does that has the socket as its standard
// input and wants it so.
func makeBlocking(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var blocking error
	return errors.Join(raw.Control(func(fd uintptr) { blocking = unix.SetNonblock(int(fd), false) }), blocking)
}
