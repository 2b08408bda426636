package eddy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
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

// crowd is 10 000, or fewer in a short test, or where a process may not have as
// many descriptors.
func crowd() int {
	if testing.Short() || runtime.GOOS != "linux" {
		return 1_000
	}
	return 10_000
}

const (
	crowdVariable   = "EDDY_TEST_CROWD"         // how many come
	addressVariable = "EDDY_TEST_CROWD_ADDRESS" // and where to
)

func init() {
	roles["silent clients"] = silentClients
}

// silentClients connect, say nothing, or half a word, and leave when they are told
// to: every other with a reset.
func silentClients() error {
	count, err := strconv.Atoi(os.Getenv(crowdVariable))
	if err != nil {
		return err
	}
	clients := make([]*net.TCPConn, count)
	for i := range clients {
		c, err := net.Dial("tcp", os.Getenv(addressVariable))
		if err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
		clients[i] = c.(*net.TCPConn)
		if i%3 == 0 {
			if _, err := c.Write([]byte("half a ")); err != nil {
				return fmt.Errorf("client %d: %w", i, err)
			}
		}
	}
	fmt.Println("here")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	for i, c := range clients {
		if i%2 == 0 {
			if err := c.SetLinger(0); err != nil {
				return err
			}
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// startSilentClients returns when they are there. What it returns makes them leave.
func startSilentClients(t *testing.T, to net.Addr, count int) (leave func()) {
	t.Helper()
	cmd := inRole("silent clients", addressVariable+"="+to.String(), crowdVariable+"="+strconv.Itoa(count))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "here\n" {
		stdin.Close()
		t.Fatalf("the clients: %q, %v, %v", line, err, cmd.Wait())
	}
	return func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the clients: %v", err)
		}
	}
}

// echoServer answers everybody with what he says.
type echoServer struct {
	net.Listener
	accepted atomic.Int64
	handlers sync.WaitGroup
}

func (s *echoServer) start() {
	s.handlers.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.handlers.Go(func() {
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
}

// talk is a client that is served.
func (s *echoServer) talk() error {
	c, err := net.DialTimeout("tcp", s.Addr().String(), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	return hears(c)
}

// hears tells whether an echoServer answers.
func hears(c net.Conn) error {
	if err := c.SetDeadline(timeout()); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	p := make([]byte, 16)
	if n, err := c.Read(p); err != nil || string(p[:n]) != "hello" {
		return fmt.Errorf("the answer is %q, %w", p[:n], err)
	}
	return nil
}

// Thousands of clients that say nothing, some of whom go away in the middle of a
// word, keep nobody from being served, neither while they are there nor while they
// leave.
func TestSilentClientsStopTheServer(t *testing.T) {
	silent := crowd()
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		server := &echoServer{Listener: listen(t, d, "tcp")}
		server.start()
		talks := 0
		talk := func(when string) {
			talks++
			if err := server.talk(); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		}
		leave := startSilentClients(t, server.Addr(), silent)
		for range 20 {
			talk("while they are there")
		}
		left := make(chan bool)
		go func() {
			leave()
			close(left)
		}()
		for gone := false; !gone; {
			talk("while they leave")
			select {
			case <-left:
				gone = true
			default:
			}
		}
		talk("after they have left")
		if n := server.accepted.Load(); n != int64(silent+talks) {
			t.Errorf("%d were accepted of %d that have come", n, silent+talks)
		}
		server.Close()
		within(t, patience, "the handlers of clients that are gone", server.handlers.Wait)
	})
}

func TestSlowReaderLosesBytes(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
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

// The methods that a ListenConfig has itself know all its settings, too.
func TestReusePortIsIgnoredByTheConfigsOwnMethods(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: SO_REUSEPORT differs from system to system")
	}
	checkLeaks(t)
	defer shutdown(t, eddy.Default())
	config := eddy.ListenConfig{ReusePort: true}
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var again *eddy.Listener
	again, err = config.Listen(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("a second listener: %v", err)
	}
	again.Close()
	p, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var other *eddy.PacketConn
	other, err = config.ListenPacket(t.Context(), "udp", p.LocalAddr().String())
	if err != nil {
		t.Fatalf("a second socket: %v", err)
	}
	other.Close()
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
		const all = 200
		var counts [2]atomic.Int64
		var acceptors sync.WaitGroup
		for i, l := range []*eddy.Listener{first, second} {
			l.SetDeadline(timeout())
			acceptors.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Close()
					if counts[i].Add(1); counts[0].Load()+counts[1].Load() == all {
						first.SetDeadline(past)
						second.SetDeadline(past)
					}
				}
			})
		}
		for range all {
			dial(t, d, first.Addr()).Close()
		}
		acceptors.Wait()
		if a, b := counts[0].Load(), counts[1].Load(); a == 0 || b == 0 || a+b != all {
			t.Errorf("of %d connections the listeners got %d and %d", all, a, b)
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
		if d.Status().Backend == eddy.BackendPortable {
			n, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			endless := struct {
				net.Listener
				syscall.Conn
			}{n, n.(syscall.Conn)}
			if _, err := d.AdoptListener(endless); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("a listener whose Accept nothing ends is adopted: %v", err)
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
