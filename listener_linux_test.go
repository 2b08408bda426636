package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/seccomptest"
)

// socketOptions are those that std sets, or leaves.
var socketOptions = []struct {
	name          string
	level, option int
}{
	{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
	{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
	{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
	{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY},
	{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR},
	{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL},
	{"SO_LINGER", unix.SOL_SOCKET, unix.SO_LINGER},
	{"TCP_QUICKACK", unix.IPPROTO_TCP, unix.TCP_QUICKACK},
	{"TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT},
}

func optionsOf(t *testing.T, c any) []string {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	err = raw.Control(func(fd uintptr) {
		for _, o := range socketOptions {
			value, err := unix.GetsockoptInt(int(fd), o.level, o.option)
			list = append(list, fmt.Sprint(o.name, " ", value, " ", err))
		}
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		list = append(list, fmt.Sprint("flags ", flags&unix.O_NONBLOCK != 0, " ", err))
		flags, err = unix.FcntlInt(fd, unix.F_GETFD, 0)
		list = append(list, fmt.Sprint("FD_CLOEXEC ", flags&unix.FD_CLOEXEC != 0, " ", err))
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// optionCases are settings of a ListenConfig and a Dialer.
var optionCases = map[string]struct {
	period time.Duration
	config net.KeepAliveConfig
}{
	"default":  {},
	"period":   {period: 42 * time.Second},
	"disabled": {period: -1},
	"config":   {config: net.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: 3 * time.Second, Count: 5}},
	"partly":   {config: net.KeepAliveConfig{Enable: true, Idle: -1, Interval: 3 * time.Second, Count: -1}},
}

// What the kernel says of a connection is the same whoever made it.
func TestSocketOptionIsNotStds(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for name, c := range optionCases {
			for _, network := range []string{"tcp", "tcp4", "tcp6"} {
				listenConfig := net.ListenConfig{KeepAlive: c.period, KeepAliveConfig: c.config}
				dialer := net.Dialer{KeepAlive: c.period, KeepAliveConfig: c.config}
				var ends [2][2][]string
				for i, w := range []world{stdWorld, worldOf(d)} {
					l, err := w.listen(listenConfig, network, anyAddress(t, network))
					if err != nil {
						t.Fatal(err)
					}
					client, err := w.dial(dialer, network, l.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					server, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					ends[i] = [2][]string{optionsOf(t, client), optionsOf(t, server)}
					client.Close()
					server.Close()
					l.Close()
				}
				for end, what := range []string{"dialed", "accepted"} {
					if std, got := ends[0][end], ends[1][end]; !slices.Equal(std, got) {
						t.Errorf("%s, %s, %s:\nstd  %v\neddy %v", name, network, what, std, got)
					}
				}
			}
		}
	})
}

// The methods that set options do to the socket what std's do.
func TestOptionMethodDoesNotWhatStdsDoes(t *testing.T) {
	type tcp interface {
		SetNoDelay(bool) error
		SetKeepAlive(bool) error
		SetKeepAlivePeriod(time.Duration) error
		SetKeepAliveConfig(net.KeepAliveConfig) error
		SetLinger(int) error
	}
	steps := map[string]func(c tcp) error{
		"SetNoDelay(false)":          func(c tcp) error { return c.SetNoDelay(false) },
		"SetKeepAlive(false)":        func(c tcp) error { return c.SetKeepAlive(false) },
		"SetKeepAlivePeriod(1ns)":    func(c tcp) error { return c.SetKeepAlivePeriod(1) },
		"SetKeepAlivePeriod(0)":      func(c tcp) error { return c.SetKeepAlivePeriod(0) },
		"SetKeepAlivePeriod(-1)":     func(c tcp) error { return c.SetKeepAlivePeriod(-1) },
		"SetKeepAlivePeriod(100h)":   func(c tcp) error { return c.SetKeepAlivePeriod(100 * time.Hour) },
		"SetKeepAliveConfig({})":     func(c tcp) error { return c.SetKeepAliveConfig(net.KeepAliveConfig{}) },
		"SetKeepAliveConfig(enable)": func(c tcp) error { return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}) },
		"SetKeepAliveConfig(count)": func(c tcp) error {
			return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Count: 1000})
		},
		"off, and a period": func(c tcp) error {
			return errors.Join(c.SetKeepAlive(false), c.SetKeepAlivePeriod(5*time.Second))
		},
		"SetLinger(5)":  func(c tcp) error { return c.SetLinger(5) },
		"SetLinger(-1)": func(c tcp) error { return c.SetLinger(-1) },
		"SetLinger(0)":  func(c tcp) error { return c.SetLinger(0) },
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for name, step := range steps {
			var results [2][]string
			for i, w := range []world{stdWorld, worldOf(d)} {
				client, server := w.connect(t, "tcp")
				err := step(client.(tcp))
				text := "nil"
				if err != nil {
					text = fmt.Sprint(errors.Is(err, unix.EINVAL), strings.Contains(err.Error(), "setsockopt"))
				}
				results[i] = append(optionsOf(t, client), text)
				client.Close()
				server.Close()
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("%s:\nstd  %v\neddy %v", name, results[0], results[1])
			}
		}
	})
}

func TestBacklogIsNotStds(t *testing.T) {
	backlog := func(t *testing.T, w world) int {
		l := w.mustListen(t, "tcp4")
		raw, err := l.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var info *unix.TCPInfo
		if err := raw.Control(func(fd uintptr) {
			info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		}); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Sacked) // tcpi_sacked of a listening socket is its backlog
	}
	noMPTCP := func(w world) world {
		old := w.listen
		w.listen = func(config net.ListenConfig, network, address string) (net.Listener, error) {
			config.SetMultipathTCP(false)
			return old(config, network, address)
		}
		return w
	}
	want := backlog(t, noMPTCP(stdWorld))
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		if got := backlog(t, noMPTCP(worldOf(d))); got != want {
			t.Errorf("the backlog is %d, not %d", got, want)
		}
	})
}

func TestPeerCredentialsAreNotToBeHad(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, network := range []string{"unix", "unixpacket"} {
			client, server := connect(t, d, network)
			for _, c := range []*eddy.Conn{client, server} {
				raw, err := c.SyscallConn()
				if err != nil {
					t.Fatal(err)
				}
				var credentials *unix.Ucred
				if err := raw.Control(func(fd uintptr) {
					credentials, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
				}); err != nil {
					t.Fatal(err)
				}
				if err != nil || credentials.Pid != int32(os.Getpid()) || credentials.Uid != uint32(os.Getuid()) {
					t.Errorf("%s: %+v, %v", network, credentials, err)
				}
			}
		}
	})
}

// Urgent data is neither delivered in line nor an end to what follows it.
func TestUrgentDataStopsReads(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, server := connect(t, d, "tcp4")
		raw, err := client.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			mustWrite(t, client, []byte("abc"))
			if err := raw.Control(func(fd uintptr) {
				err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil)
			}); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, client, []byte("def"))
			server.SetReadDeadline(time.Now().Add(patience))
			p := make([]byte, 6)
			if n, err := io.ReadFull(server, p); err != nil || string(p) != "abcdef" {
				t.Fatalf("read %q, %v", p[:n], err)
			}
		}
	})
}

// roleInChild runs a role of the test binary on each backend.
func roleInChild(t *testing.T, role string, more ...string) {
	t.Helper()
	for _, s := range settings(t) {
		if s.name == "uring-thread" {
			continue // as far as sockets go like uring-shared
		}
		t.Run(s.name, func(t *testing.T) {
			needRing(t, s)
			plays(t, role, append(s.environment(), more...)...)
		})
	}
}

func init() {
	roles["out of descriptors"] = outOfDescriptors
	roles["no socket options"] = withoutSocketOptions
}

func TestAcceptOutOfDescriptorsStopsTheServer(t *testing.T) { roleInChild(t, "out of descriptors") }

// outOfDescriptors is a server that may open no more files while clients come.
func outOfDescriptors() error {
	l, err := eddy.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	first, err := eddy.Dial("tcp", l.Addr().String()) // makes the loops
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := l.Accept()
	if err != nil {
		return err
	}
	defer second.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	var held []*os.File
	old := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		return err
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	for range 100 {
		_, err = l.Accept()
		var temporary interface{ Temporary() bool }
		var op *net.OpError
		if !errors.Is(err, unix.EMFILE) || !errors.As(err, &op) || op.Op != "accept" ||
			!errors.As(err, &temporary) || !temporary.Temporary() {
			return fmt.Errorf("out of descriptors, Accept says %w", err)
		}
	}
	if _, err := eddy.Dial("tcp", l.Addr().String()); !errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("out of descriptors, Dial says %w", err)
	}
	// What is open goes on.
	if _, err := first.Write([]byte("x")); err != nil {
		return err
	}
	if _, err := second.Read(make([]byte, 1)); err != nil {
		return err
	}
	for _, f := range held {
		f.Close()
	}
	l.SetDeadline(time.Now().Add(patience))
	c, err := l.Accept()
	if err != nil {
		return fmt.Errorf("with descriptors again, Accept says %w", err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != client.LocalAddr().String() {
		return errors.New("it is another connection")
	}
	return l.Close()
}

// A kernel that knows no option of those std tries to set has connections all the
// same: one before 6.11 has no TCP_KEEPIDLE for MPTCP.
func TestListenNeedsSocketOptions(t *testing.T) { roleInChild(t, "no socket options") }

func withoutSocketOptions() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := seccomptest.Deny(unix.EOPNOTSUPP, unix.SYS_SETSOCKOPT); err != nil {
		return err
	}
	adopted, err := eddy.AdoptListener(l)
	if err != nil {
		return fmt.Errorf("AdoptListener: %w", err)
	}
	defer adopted.Close()
	c, err := eddy.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		return fmt.Errorf("Dial: %w", err)
	}
	defer c.Close()
	s, err := adopted.Accept()
	if err != nil {
		return fmt.Errorf("Accept: %w", err)
	}
	return s.Close()
}
