package eddy_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// The loop is not told of a solo socket's data: whoever waits for it in another
// call than Read must have told it to look again.
func TestSoloSocketsOtherCallsWaitForEver(t *testing.T) {
	checkLeaks(t)
	defer dropPipes(t)()
	for name, receive := range map[string]func(t *testing.T, d *eddy.Driver, server *eddy.Conn) (string, error){
		"RawConn.Read": func(_ *testing.T, _ *eddy.Driver, server *eddy.Conn) (string, error) {
			raw, err := server.SyscallConn()
			if err != nil {
				return "", err
			}
			p := make([]byte, 16)
			var n int
			var readErr error
			err = raw.Read(func(fd uintptr) bool {
				n, readErr = unix.Read(int(fd), p)
				return readErr != unix.EAGAIN
			})
			if err == nil {
				err = readErr
			}
			return string(p[:max(n, 0)]), err
		},
		"splice": func(t *testing.T, d *eddy.Driver, server *eddy.Conn) (string, error) {
			upstream, back := connect(t, d, "tcp")
			go io.Copy(upstream, io.LimitReader(server, 4))
			p := make([]byte, 16)
			n, err := back.Read(p)
			return string(p[:n]), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, client, server := soloPair(t)
			go func() {
				time.Sleep(20 * time.Millisecond)
				client.Write([]byte("late"))
			}()
			within(t, patience, name+" of a solo socket", func() {
				if got, err := receive(t, d, server); got != "late" || err != nil {
					t.Errorf("received %q, %v", got, err)
				}
			})
			if solos := d.Metrics().Solos; solos != 0 {
				t.Errorf("%d sockets are solo though the only one has waited in its loop", solos)
			}
		})
	}
}

// Only Close waits for option calls. One inside Control, which holds the
// descriptor, must not wait for that Close in turn.
func TestOptionInsideControlWaitsForClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, _ := connect(t, d, "tcp")
		raw, err := client.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		within(t, patience, "an option inside Control while Close waits", func() {
			raw.Control(func(uintptr) {
				go func() { closed <- client.Close() }()
				time.Sleep(20 * time.Millisecond)
				if err := client.SetNoDelay(true); err == nil {
					t.Error("an option was set after Close was called")
				}
			})
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	})
}

// A function that panics, and whose caller recovers, leaves the side usable.
func TestPanicInsideRawConnLocksTheSide(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, server := connect(t, d, "tcp")
		raw, err := server.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []func(func(uintptr) bool) error{raw.Read, raw.Write} {
			func() {
				defer func() { recover() }()
				call(func(uintptr) bool { panic("the user's") })
			}()
		}
		within(t, patience, "a connection in whose RawConn a function has panicked", func() {
			mustWrite(t, server, []byte("out"))
			mustRead(t, client, "out")
			mustWrite(t, client, []byte("in"))
			mustRead(t, server, "in")
		})
	})
}

// Who is inside a call of a RawConn keeps its PacketConn open.
func TestGarbageCollectorClosesUnderARawRead(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		to, got := func() (net.Addr, chan error) {
			c, err := d.ListenPacket(context.Background(), "udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			raw, err := c.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			got := make(chan error, 1)
			go func() {
				got <- raw.Read(func(fd uintptr) bool {
					_, err := unix.Read(int(fd), make([]byte, 16))
					return err != unix.EAGAIN
				})
			}()
			return c.LocalAddr(), got
		}()
		stop := collect()
		time.Sleep(50 * time.Millisecond)
		stop()
		c, err := net.Dial("udp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-got:
			if err != nil {
				t.Errorf("a read of a PacketConn that only its RawConn was left of: %v", err)
			}
		case <-time.After(patience):
			t.Error("the read hangs")
		}
		defer collect()() // closes the socket, for the check of leaks
		time.Sleep(50 * time.Millisecond)
	})
}
