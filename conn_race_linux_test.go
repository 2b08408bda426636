package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// foreigner opens and closes files of its own all the time, and so gets the
// numbers of descriptors that have just been closed. It notices when somebody
// else writes to one, closes it, shortens it, or puts another in its place.
type foreigner struct {
	stop  atomic.Bool
	wait  sync.WaitGroup
	fault atomic.Pointer[string]
	files atomic.Int64
}

const foreignBytes = "this is somebody else's"

func (f *foreigner) start(goroutines int) {
	for range goroutines {
		f.wait.Go(func() {
			for !f.stop.Load() && f.fault.Load() == nil {
				if err := f.look(); err != nil {
					text := err.Error()
					f.fault.Store(&text)
				}
			}
		})
	}
}

// look opens a file with a content, waits a moment, and closes it.
func (f *foreigner) look() error {
	// A write or a read that hits a pair of sockets leaves a trace there; what is
	// done to a socket (shutdown, an option) does, too.
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil // too many are open at this moment
	}
	f.files.Add(1)
	var before, after [2]unix.Stat_t
	if err := errors.Join(unix.Fstat(pair[0], &before[0]), unix.Fstat(pair[1], &before[1])); err != nil {
		return fmt.Errorf("new descriptors %v: %w", pair, err)
	}
	if n, err := unix.Write(pair[0], []byte(foreignBytes)); n != len(foreignBytes) {
		return fmt.Errorf("write to new descriptors %v: %d, %w", pair, n, err)
	}
	for range 3 {
		time.Sleep(10 * time.Microsecond)
	}
	p := make([]byte, 100)
	if n, err := unix.Read(pair[1], p); err != nil || string(p[:n]) != foreignBytes {
		return fmt.Errorf("descriptors %v: read %q, %v", pair, p[:max(n, 0)], err)
	}
	for _, fd := range pair {
		if n, err := unix.Read(fd, p); err != unix.EAGAIN {
			return fmt.Errorf("descriptors %v: somebody wrote %q to them or shut them, %v", pair, p[:max(n, 0)], err)
		}
	}
	err = errors.Join(unix.Fstat(pair[0], &after[0]), unix.Fstat(pair[1], &after[1]))
	if err != nil || before[0].Ino != after[0].Ino || before[1].Ino != after[1].Ino {
		return fmt.Errorf("descriptors %v are others than they were, %w", pair, err)
	}
	if err := errors.Join(unix.Close(pair[0]), unix.Close(pair[1])); err != nil {
		return fmt.Errorf("descriptors %v: %w", pair, err)
	}
	return nil
}

func (f *foreigner) end(t *testing.T) {
	t.Helper()
	f.stop.Store(true)
	f.wait.Wait()
	if fault := f.fault.Load(); fault != nil {
		t.Errorf("a foreign descriptor was touched: %s", *fault)
	}
	t.Logf("%d foreign descriptors were looked at", 2*f.files.Load())
}

// expected tells whether an error may come of closing a connection under its users.
func expected(err error) bool {
	return err == nil || err == io.EOF || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, context.Canceled) ||
		errors.Is(err, syscall.ENOTCONN)
}

// closeRaces are what 16 goroutines do to a connection while it is closed.
var closeRaces = []func(c *eddy.Conn) error{
	func(c *eddy.Conn) error { _, err := c.Read(make([]byte, 64)); return err },
	func(c *eddy.Conn) error { _, err := c.Write([]byte("from eddy")); return err },
	func(c *eddy.Conn) error { return c.SetDeadline(time.Now().Add(time.Microsecond)) },
	func(c *eddy.Conn) error { return c.SetReadDeadline(time.Time{}) },
	func(c *eddy.Conn) error {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var kind int
		if controlErr := raw.Control(func(fd uintptr) {
			time.Sleep(20 * time.Microsecond)
			kind, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
		}); controlErr != nil {
			return controlErr
		}
		if err != nil || kind != unix.IPPROTO_TCP {
			return fmt.Errorf("the descriptor that Control was given became another: protocol %d, %w", kind, err)
		}
		return nil
	},
	func(c *eddy.Conn) error {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		if rawErr := raw.Write(func(fd uintptr) bool {
			time.Sleep(20 * time.Microsecond)
			_, err = unix.SendmsgN(int(fd), []byte("from eddy"), nil, nil, unix.MSG_NOSIGNAL)
			return true
		}); rawErr != nil {
			return rawErr
		}
		return err
	},
	func(c *eddy.Conn) error { return c.SetNoDelay(true) },
	func(c *eddy.Conn) error { return c.CloseWrite() },
	func(c *eddy.Conn) error {
		f, err := c.File()
		if err == nil {
			err = f.Close()
		}
		return err
	},
	func(c *eddy.Conn) error {
		_, err := c.ReadContext(canceled(), make([]byte, 1))
		return err
	},
	func(c *eddy.Conn) error {
		_, err := c.WriteBuffers(&net.Buffers{[]byte("from"), []byte("eddy")})
		return err
	},
	func(c *eddy.Conn) error { _, err := c.ReadFrom(strings.NewReader("from eddy")); return err },
	func(c *eddy.Conn) error { return c.Close() },
}

// Whatever is done to a connection while it is closed, and after, it does not
// reach the next owner of the descriptor's number. EDDY_TEST_LONG=1 makes it
// 100 000 rounds.
func TestCloseLetsCallsHitForeignDescriptors(t *testing.T) {
	rounds := 2000
	switch {
	case long:
		rounds = 100_000
	case testing.Short():
		rounds = 600
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l, err := d.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var foreign foreigner
		foreign.start(2)
		defer foreign.end(t)
		for round := range rounds {
			client, err := d.Dial(context.Background(), "tcp4", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			server, err := l.AcceptConn()
			if err != nil {
				t.Fatal(err)
			}
			var users sync.WaitGroup
			begin := make(chan bool)
			for g := range 16 {
				use, c := closeRaces[(g+round)%len(closeRaces)], client
				if g%4 == 3 {
					c = server
				}
				users.Go(func() {
					<-begin
					for range 2 {
						if err := use(c); !expected(err) {
							t.Errorf("round %d: %v", round, err)
						}
					}
				})
			}
			close(begin)
			spin(round % 50)
			client.Close()
			server.Close()
			users.Wait()
			if foreign.fault.Load() != nil || t.Failed() {
				return
			}
		}
	})
}

func TestCloseOfListenerLetsAcceptHitForeignDescriptors(t *testing.T) {
	rounds := 200
	if long {
		rounds = 10_000
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		var foreign foreigner
		foreign.start(2)
		defer foreign.end(t)
		for round := range rounds {
			l, err := d.Listen(context.Background(), "tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var users sync.WaitGroup
			for g := range 16 {
				users.Go(func() {
					switch g % 4 {
					case 0:
						if c, err := net.Dial("tcp4", l.Addr().String()); err == nil {
							c.Close()
						}
					case 1:
						l.SetDeadline(time.Now().Add(time.Duration(g) * 10 * time.Microsecond))
					default:
						c, err := l.AcceptConn()
						if !expected(err) && !errors.Is(err, syscall.EINVAL) {
							t.Errorf("round %d: %v", round, err)
						}
						if err == nil {
							c.Close()
						}
					}
				})
			}
			spin(round % 100)
			l.Close()
			users.Wait()
			if foreign.fault.Load() != nil || t.Failed() {
				return
			}
		}
	})
}
