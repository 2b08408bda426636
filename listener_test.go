package eddy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// Connections that came while nobody accepted are all let in by one wake-up.
func TestBurstLeavesConnectionsWaiting(t *testing.T) {
	const burst = 2000
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l := listen(t, d, "tcp")
		clients := make([]net.Conn, 0, burst)
		defer func() {
			for _, c := range clients {
				c.Close()
			}
		}()
		for range burst {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatalf("connection %d: %v", len(clients), err)
			}
			clients = append(clients, c)
		}
		var acceptors sync.WaitGroup
		var mu sync.Mutex
		accepted := map[string]bool{}
		l.SetDeadline(time.Now().Add(patience))
		for range 4 {
			acceptors.Go(func() {
				for {
					c, err := l.AcceptConn()
					if err != nil {
						return
					}
					mu.Lock()
					accepted[c.RemoteAddr().String()] = true
					all := len(accepted) == burst
					mu.Unlock()
					c.Close()
					if all {
						l.SetDeadline(past)
					}
				}
			})
		}
		acceptors.Wait()
		for _, c := range clients {
			if !accepted[c.LocalAddr().String()] {
				t.Fatalf("%d of %d connections were accepted", len(accepted), burst)
			}
		}
	})
}

// Clients that say nothing, some of whom go away in the middle of a word, keep
// nobody from being served.
func TestSilentClientsStopTheServer(t *testing.T) {
	silent := 2000
	if long {
		silent = 9_800 // both ends are in this process, whose limit may be 20 000 descriptors
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l := listen(t, d, "tcp")
		address := l.Addr().String()
		var handlers sync.WaitGroup
		handlers.Go(func() {
			for {
				c, err := l.AcceptConn()
				if err != nil {
					return
				}
				handlers.Go(func() {
					defer c.Close()
					p := make([]byte, 16)
					for {
						n, err := c.Read(p)
						if err != nil {
							return
						}
						if _, err := c.Write(p[:n]); err != nil {
							return
						}
					}
				})
			}
		})
		clients := make([]net.Conn, 0, silent)
		for i := range silent {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			clients = append(clients, c)
			if i%3 == 0 {
				c.Write([]byte("half a "))
			}
		}
		talk := func() {
			c := dial(t, d, l.Addr())
			c.SetDeadline(time.Now().Add(patience))
			mustWrite(t, c, []byte("hello"))
			mustRead(t, c, "hello")
			c.Close()
		}
		talk()
		for i, c := range clients {
			if i%2 == 0 {
				c.(*net.TCPConn).SetLinger(0) // a reset
			}
			c.Close()
			if i%500 == 0 {
				talk()
			}
		}
		talk()
		l.Close()
		within(t, patience, "the handlers of clients that are gone", handlers.Wait)
	})
}

func TestSlowReaderLosesBytes(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		if !isStream(network) {
			return
		}
		server.SetReadBuffer(64 << 10)
		client.SetWriteBuffer(64 << 10)
		data := pattern(300_000)
		go func() {
			mustWrite(t, client, data)
			client.CloseWrite()
		}()
		var got []byte
		p := make([]byte, 1500)
		for len(got) < len(data) {
			n, err := server.Read(p)
			if err != nil {
				t.Fatalf("after %d bytes: %v", len(got), err)
			}
			got = append(got, p[:n]...)
			if len(got)%7 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if string(got) != string(data) {
			t.Error("other bytes arrived than were sent")
		}
	})
}

func TestReusePortIsIgnored(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		config := eddy.ListenConfig{ReusePort: true}
		first, err := d.ListenWith(context.Background(), config, "tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		second, err := d.ListenWith(context.Background(), config, "tcp4", first.Addr().String())
		if err != nil {
			t.Fatalf("a second listener on the same port: %v", err)
		}
		defer second.Close()
		if _, err := d.Listen(context.Background(), "tcp4", first.Addr().String()); err == nil {
			t.Error("a listener without ReusePort got the port")
		}
		counts := make([]int, 2)
		var acceptors sync.WaitGroup
		for i, l := range []*eddy.Listener{first, second} {
			acceptors.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					counts[i]++
					c.Close()
				}
			})
		}
		for range 200 {
			dial(t, d, first.Addr()).Close()
		}
		time.Sleep(20 * time.Millisecond)
		first.Close()
		second.Close()
		acceptors.Wait()
		if counts[0] == 0 || counts[1] == 0 {
			t.Errorf("of 200 connections the listeners got %v", counts)
		}
	})
}

func TestControlOfListenConfigIsNotCalled(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		called := 0
		config := eddy.ListenConfig{ReusePort: true}
		config.Control = func(string, string, syscall.RawConn) error {
			called++
			return nil
		}
		l, err := d.ListenWith(context.Background(), config, "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if called != 1 {
			t.Errorf("called %d times", called)
		}
	})
}

// A Unix socket's name is removed by Close where std removes it, and nowhere else.
func TestUnixNameIsNotRemovedAsByStd(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	there := func(name string) bool {
		_, err := os.Lstat(name)
		return err == nil
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := filepath.Join(t.TempDir(), "s")
		listenOn := func() *eddy.Listener {
			l, err := d.Listen(context.Background(), "unix", name)
			if err != nil {
				t.Fatal(err)
			}
			if !there(name) {
				t.Fatal("there is no socket")
			}
			return l
		}
		l := listenOn()
		l.Close()
		if there(name) {
			t.Error("Close left the name of a socket that Listen made")
		}
		// Once it is closed, the name is somebody else's.
		other := listenOn()
		l.Close()
		if !there(name) {
			t.Error("a second Close removed another listener's name")
		}
		other.SetUnlinkOnClose(false)
		other.Close()
		if !there(name) {
			t.Error("Close removed a name it was told to leave")
		}
		os.Remove(name)

		made, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := made.(*net.UnixListener).File()
		if err != nil {
			t.Fatal(err)
		}
		made.(*net.UnixListener).SetUnlinkOnClose(false)
		made.Close()
		inherited, err := net.FileListener(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		adopted, err := d.AdoptListener(inherited)
		if err != nil {
			t.Fatal(err)
		}
		if !there(name) {
			t.Error("adopting a listener removed its name")
		}
		c := dial(t, d, adopted.Addr())
		accept(t, adopted)
		c.Close()
		adopted.Close()
		if !there(name) {
			t.Error("Close removed the name of a socket that was inherited")
		}
	})
}

func TestAbstractNameIsAFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		t.Chdir(t.TempDir())
		for _, network := range []string{"unix", "unixpacket"} {
			l, err := d.Listen(context.Background(), network, "@eddy-test-"+network)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Addr().String(); got != "@eddy-test-"+network {
				t.Errorf("the address is %q", got)
			}
			c := dial(t, d, l.Addr())
			s := accept(t, l)
			mustWrite(t, c, []byte("x"))
			mustRead(t, s, "x")
			if got := s.LocalAddr().String(); got != "@eddy-test-"+network {
				t.Errorf("the accepted end's address is %q", got)
			}
			l.Close()
			entries, err := os.ReadDir(".")
			if err != nil || len(entries) != 0 {
				t.Errorf("an abstract name made files: %v, %v", entries, err)
			}
		}
	})
}

func TestAdoptTakesWhatHasNoDescriptor(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		if c, err := d.Adopt(a); c != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a net.Pipe is adopted: %v, %v", c, err)
		}
		go b.Write([]byte("x"))
		mustRead(t, a, "x") // it is still the caller's
		if l, err := d.AdoptListener(bareListener{}); l != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a listener of the user's own is adopted: %v, %v", l, err)
		}
		for _, c := range []net.Conn{nil, (*eddy.Conn)(nil), new(net.TCPConn)} {
			if _, err := d.Adopt(c); err == nil {
				t.Errorf("adopting %T that is nil succeeds", c)
			}
		}
		if _, err := d.AdoptListener(nil); err == nil {
			t.Error("adopting no listener succeeds")
		}
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		if _, err := d.AdoptListener(closed); !errors.Is(err, net.ErrClosed) {
			t.Errorf("adopting a closed listener: %v", err)
		}
	})
}

type bareListener struct{}

func (bareListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (bareListener) Close() error              { return nil }
func (bareListener) Addr() net.Addr            { return nil }

func TestAdoptLosesWhatHadArrived(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		waiting, err := net.Dial("tcp", l.Addr().String()) // nobody has accepted it
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, client, []byte("early"))
		c, err := d.Adopt(accepted)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		mustRead(t, c, "early")
		if again, err := d.Adopt(c); again != c || err != nil {
			t.Errorf("adopting what is eddy's: %v, %v", again, err)
		}
		adopted, err := d.AdoptListener(l)
		if err != nil {
			t.Fatal(err)
		}
		defer adopted.Close()
		s := accept(t, adopted)
		if s.RemoteAddr().String() != waiting.LocalAddr().String() {
			t.Error("not the connection that waited")
		}
	})
}
