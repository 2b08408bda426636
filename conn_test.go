package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// patience is how long a test waits for what must happen before it calls it a
// hang.
const patience = 20 * time.Second

// long is whether the tests that check for rare things may take minutes.
var long = os.Getenv("EDDY_TEST_LONG") == "1"

// connNetworks are the networks that have connections and a listener here. Between
// tcp, on these addresses, and tcp4 only the name is different.
func connNetworks() []string {
	list := []string{"tcp"}
	if !testing.Short() {
		list = append(list, "tcp4")
	}
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		l.Close()
		list = append(list, "tcp6")
	}
	if runtime.GOOS != "windows" {
		list = append(list, "unix")
	}
	if runtime.GOOS == "linux" {
		list = append(list, "unixpacket")
	}
	return list
}

// anyAddress is one to listen on.
func anyAddress(t testing.TB, network string) string {
	switch network {
	case "tcp6":
		return "[::1]:0"
	case "unix", "unixpacket":
		dir, err := os.MkdirTemp("", "eddy")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return filepath.Join(dir, "socket")
	}
	return "127.0.0.1:0"
}

func listen(t testing.TB, d *eddy.Driver, network string) *eddy.Listener {
	t.Helper()
	l, err := d.Listen(context.Background(), network, anyAddress(t, network))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t testing.TB, d *eddy.Driver, a net.Addr) *eddy.Conn {
	t.Helper()
	c, err := d.Dial(context.Background(), a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func accept(t testing.TB, l *eddy.Listener) *eddy.Conn {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c, err := l.AcceptConn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connect makes both ends of a connection. The listener is gone.
func connect(t testing.TB, d *eddy.Driver, network string) (client, server *eddy.Conn) {
	t.Helper()
	l := listen(t, d, network)
	client = dial(t, d, l.Addr())
	server = accept(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// eachNetwork runs a test on every backend, for every network with connections.
func eachNetwork(t *testing.T, test func(t *testing.T, d *eddy.Driver, network string)) {
	t.Helper()
	eachOf(t, connNetworks(), test)
}

// eachOf is eachNetwork for some of them.
func eachOf(t *testing.T, networks []string, test func(t *testing.T, d *eddy.Driver, network string)) {
	t.Helper()
	eachBackendOnce(t, func(t *testing.T, d *eddy.Driver) {
		for _, network := range networks {
			t.Run(network, func(t *testing.T) { test(t, d, network) })
		}
	})
}

// eachPair is eachNetwork with a connection.
func eachPair(t *testing.T, test func(t *testing.T, network string, client, server *eddy.Conn)) {
	t.Helper()
	eachNetwork(t, func(t *testing.T, d *eddy.Driver, network string) {
		client, server := connect(t, d, network)
		test(t, network, client, server)
	})
}

// eachStream is eachNetwork without message boundaries.
func eachStream(t *testing.T, test func(t *testing.T, d *eddy.Driver, network string)) {
	t.Helper()
	eachOf(t, slices.DeleteFunc(connNetworks(), func(network string) bool { return !isStream(network) }), test)
}

// eachStreamPair is eachStream with a connection.
func eachStreamPair(t *testing.T, test func(t *testing.T, network string, client, server *eddy.Conn)) {
	t.Helper()
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		client, server := connect(t, d, network)
		test(t, network, client, server)
	})
}

// isStream tells whether a network's connections have no message boundaries.
func isStream(network string) bool { return network != "unixpacket" }

func mustWrite(t testing.TB, c io.Writer, p []byte) {
	t.Helper()
	if n, err := c.Write(p); n != len(p) || err != nil {
		t.Fatalf("Write of %d bytes: %d, %v", len(p), n, err)
	}
}

func mustRead(t testing.TB, c io.Reader, want string) {
	t.Helper()
	p := make([]byte, len(want))
	if n, err := io.ReadFull(c, p); err != nil || string(p) != want {
		t.Fatalf("read %q, %v; want %q", p[:n], err, want)
	}
}

// tooMuch is more than a connection takes that is full, though the kernel may
// find some more room with time.
func tooMuch(network string) []byte {
	if isStream(network) {
		return make([]byte, 16<<20)
	}
	return make([]byte, 64<<10)
}

// overfull is more than a connection of a stream takes that nobody reads. In short
// mode that is less, for the connection takes less.
func overfull(t testing.TB, client, server *eddy.Conn) int {
	t.Helper()
	if !testing.Short() {
		return 16 << 20
	}
	if err := errors.Join(client.SetWriteBuffer(64<<10), server.SetReadBuffer(64<<10)); err != nil {
		t.Fatal(err)
	}
	return 2 << 20
}

// fill writes until there is no more room, and returns how much there was.
func fill(t testing.TB, c *eddy.Conn) int {
	t.Helper()
	total := 0
	p := make([]byte, 64<<10)
	for {
		if err := c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Write(p)
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return total
}

func TestEndOfStreamIsNotBareEOF(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		mustWrite(t, client, []byte("last words"))
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		mustRead(t, server, "last words")
		for range 2 {
			n, err := server.Read(make([]byte, 10))
			if n != 0 || err != io.EOF {
				t.Fatalf("after the end: %d, %#v, not io.EOF itself", n, err)
			}
		}
	})
}

func TestAddressLacksTheChosenPort(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0", "localhost:0"} {
			l, err := d.Listen(context.Background(), "tcp", address)
			if err != nil && address == "[::1]:0" {
				continue // a machine without IPv6
			}
			if err != nil {
				t.Fatal(err)
			}
			a, ok := l.Addr().(*net.TCPAddr)
			if !ok || a.Port == 0 {
				t.Errorf("%s: %#v", address, l.Addr())
			}
			c := dial(t, d, l.Addr())
			s := accept(t, l)
			if got := c.RemoteAddr().(*net.TCPAddr).Port; got != a.Port {
				t.Errorf("the dialer's remote port is %d, not %d", got, a.Port)
			}
			if got := s.LocalAddr().(*net.TCPAddr).Port; got != a.Port {
				t.Errorf("the accepted one's local port is %d, not %d", got, a.Port)
			}
			if c.LocalAddr().String() != s.RemoteAddr().String() {
				t.Errorf("one end is %v, the other calls it %v", c.LocalAddr(), s.RemoteAddr())
			}
			c.Close()
			s.Close()
			l.Close()
		}
	})
}

func TestReadOfNothingWaitsOrFails(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		within(t, patience, "Read of nothing", func() {
			for _, p := range [][]byte{nil, {}} {
				if n, err := server.Read(p); n != 0 || err != nil {
					t.Errorf("Read of nothing: %d, %v", n, err)
				}
			}
			mustWrite(t, client, []byte("x"))
			if n, err := server.Read(nil); n != 0 || err != nil {
				t.Errorf("Read of nothing, with data there: %d, %v", n, err)
			}
			mustRead(t, server, "x")
			server.SetReadDeadline(time.Unix(1, 0))
			if n, err := server.Read(nil); n != 0 || err != nil {
				t.Errorf("Read of nothing, past the deadline: %d, %v", n, err)
			}
			server.SetReadDeadline(time.Time{})
			client.Close()
			if n, err := server.Read(nil); n != 0 || err != nil {
				t.Errorf("Read of nothing, at the end: %d, %v", n, err)
			}
		})
	})
}

func TestWriteOfNothingWaitsOrFails(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		within(t, patience, "Write of nothing", func() {
			for _, p := range [][]byte{nil, {}} {
				if n, err := client.Write(p); n != 0 || err != nil {
					t.Errorf("Write of nothing: %d, %v", n, err)
				}
			}
			if isStream(network) {
				mustWrite(t, client, []byte("x"))
				mustRead(t, server, "x")
				return
			}
			// As with std: a packet of nothing cannot be told from the end.
			if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("a packet of nothing: %d, %v", n, err)
			}
		})
	})
}

// There is always room for nothing, unless it is a packet.
func TestWriteOfNothingWaitsForRoom(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, _ *eddy.Conn) {
		fill(t, client)
		within(t, patience, "Write of nothing to a full connection", func() {
			if n, err := client.Write(nil); n != 0 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	})
}

// There is room for nothing only as long as there is any for something.
func TestWriteOfNothingSucceedsAfterCloseWrite(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: what is compared with is what Linux does")
	}
	eachPair(t, func(t *testing.T, network string, client, _ *eddy.Conn) {
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, want := client.Write([]byte("x"))
		within(t, patience, "Write of nothing", func() {
			for what, write := range map[string]func() (int, error){
				"Write":        func() (int, error) { return client.Write(nil) },
				"WriteContext": func() (int, error) { return client.WriteContext(t.Context(), nil) },
			} {
				if n, err := write(); n != 0 || !errors.Is(err, syscall.EPIPE) || err.Error() != want.Error() {
					t.Errorf("%s of nothing: %d, %v; of something: %v", what, n, err, want)
				}
			}
		})
	})
}

func TestLargeWriteIsShort(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		data := make([]byte, overfull(t, client, server))
		rand.NewChaCha8([32]byte{1}).Read(data)
		var got []byte
		var wait sync.WaitGroup
		wait.Go(func() {
			var err error
			if got, err = io.ReadAll(server); err != nil {
				t.Error(err)
			}
		})
		mustWrite(t, client, data)
		client.Close()
		wait.Wait()
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes arrived, not the %d sent, or others", len(got), len(data))
		}
	})
}

// A peer that sends is held up when nobody reads: the kernel's buffers take some
// megabytes, and nothing of ours more.
func TestPeerFillsMemoryOfConnectionNobodyReads(t *testing.T) {
	const limit = 16 << 20 // net.ipv4.tcp_rmem and tcp_wmem allow 6 and 4 MiB
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		go server.ReadContext(canceled(), make([]byte, 1)) // somebody has been interested
		if n := fill(t, client); n == 0 || n > limit {
			t.Errorf("%d bytes were taken from a peer that pushes", n)
		}
	})
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestPacketBoundariesAreLost(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, server := connect(t, d, "unixpacket")
		for _, size := range []int{1, 2, 100, 0, 60000, 3} {
			mustWrite(t, client, pattern(size))
		}
		p := make([]byte, 1<<16)
		for _, size := range []int{1, 2, 100, 0, 60000, 3} {
			n, err := server.Read(p)
			if size == 0 && err == io.EOF {
				err = nil // as std: it cannot be told from the end
			}
			if n != size || err != nil || !bytes.Equal(p[:n], pattern(size)) {
				t.Fatalf("a packet of %d bytes: %d, %v", size, n, err)
			}
		}
		// A packet that does not fit is cut; the next one is whole.
		mustWrite(t, client, pattern(100))
		mustWrite(t, client, []byte("next"))
		if n, err := server.Read(p[:10]); n != 10 || err != nil {
			t.Fatalf("the beginning of a packet: %d, %v", n, err)
		}
		if n, err := server.Read(p); err != nil || string(p[:n]) != "next" {
			t.Fatalf("the packet after a cut one: %q, %v", p[:n], err)
		}
	})
}

func TestReadersOrWritersMixTheirBytes(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		const writers, rounds, size = 8, 50, 10_000
		var wait sync.WaitGroup
		for w := range writers {
			wait.Go(func() {
				p := bytes.Repeat([]byte{byte('a' + w)}, size)
				for range rounds {
					mustWrite(t, client, p)
				}
			})
		}
		go func() {
			wait.Wait()
			client.CloseWrite()
		}()
		counts := map[byte]int{}
		p := make([]byte, size)
		for range writers * rounds {
			if _, err := io.ReadFull(server, p); err != nil {
				t.Fatal(err)
			}
			if bytes.Count(p, p[:1]) != size {
				t.Fatal("two writers' bytes are mixed within one Write")
			}
			counts[p[0]]++
		}
		for w := range writers {
			if counts[byte('a'+w)] != rounds {
				t.Errorf("%d writes of writer %d arrived, not %d", counts[byte('a'+w)], w, rounds)
			}
		}
	})
}

func TestNilConnPanics(t *testing.T) {
	for _, c := range []*eddy.Conn{nil, new(eddy.Conn)} {
		p := make([]byte, 1)
		for what, call := range map[string]func() error{
			"Read":               func() error { _, err := c.Read(p); return err },
			"Write":              func() error { _, err := c.Write(p); return err },
			"WriteString":        func() error { _, err := c.WriteString("x"); return err },
			"ReadContext":        func() error { _, err := c.ReadContext(context.Background(), p); return err },
			"WriteContext":       func() error { _, err := c.WriteContext(context.Background(), p); return err },
			"WriteBuffers":       func() error { _, err := c.WriteBuffers(&net.Buffers{p}); return err },
			"ReadFrom":           func() error { _, err := c.ReadFrom(bytes.NewReader(p)); return err },
			"WriteTo":            func() error { _, err := c.WriteTo(io.Discard); return err },
			"Close":              c.Close,
			"CloseRead":          c.CloseRead,
			"CloseWrite":         c.CloseWrite,
			"SetDeadline":        func() error { return c.SetDeadline(time.Now()) },
			"SetReadDeadline":    func() error { return c.SetReadDeadline(time.Now()) },
			"SetWriteDeadline":   func() error { return c.SetWriteDeadline(time.Now()) },
			"SetNoDelay":         func() error { return c.SetNoDelay(true) },
			"SetKeepAlive":       func() error { return c.SetKeepAlive(true) },
			"SetKeepAlivePeriod": func() error { return c.SetKeepAlivePeriod(time.Second) },
			"SetKeepAliveConfig": func() error { return c.SetKeepAliveConfig(net.KeepAliveConfig{}) },
			"SetLinger":          func() error { return c.SetLinger(1) },
			"SetReadBuffer":      func() error { return c.SetReadBuffer(1) },
			"SetWriteBuffer":     func() error { return c.SetWriteBuffer(1) },
			"SyscallConn":        func() error { _, err := c.SyscallConn(); return err },
			"File":               func() error { _, err := c.File(); return err },
			"MultipathTCP":       func() error { _, err := c.MultipathTCP(); return err },
		} {
			if err := call(); err == nil {
				t.Errorf("%s of a Conn that is none succeeds", what)
			}
		}
		if c.LocalAddr() != nil || c.RemoteAddr() != nil {
			t.Error("a Conn that is none has an address")
		}
	}
}

func TestShutdownLeavesSomebodyInRead(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		l := listen(t, d, "tcp")
		client := dial(t, d, l.Addr())
		server := accept(t, l)
		l.SetDeadline(time.Time{})
		ended := make(chan error, 3)
		go func() { _, err := client.Read(make([]byte, 1)); ended <- err }()
		go func() { _, err := client.Write(make([]byte, 64<<20)); ended <- err }()
		go func() { _, err := l.Accept(); ended <- err }()
		time.Sleep(20 * time.Millisecond)
		shutdown(t, d)
		within(t, patience, "a call that Shutdown must end", func() {
			for range 3 {
				if err := <-ended; !errors.Is(err, eddy.ErrShutdown) {
					t.Errorf("ended with %v", err)
				}
			}
		})
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("Read after Shutdown: %v", err)
		}
		for _, c := range []io.Closer{client, server, l} {
			if err := c.Close(); err != nil {
				t.Errorf("Close after Shutdown: %v", err)
			}
		}
	})
}

// timeout is when a test gives up.
func timeout() time.Time { return time.Now().Add(patience) }
