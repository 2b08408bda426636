package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/probe"
)

// The loops take what descriptors there are for themselves, for good.
func TestLoopsTakeTheLastDescriptors(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		if cfg.Backend == eddy.BackendPortable {
			return // it has no loops
		}
		cfg.Loops = 64
		d := newDriver(t, cfg)
		l, err := withRoomFor(t, 40, func() (*eddy.Listener, error) {
			l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			f, err := os.Open("/dev/null")
			if err != nil {
				l.Close()
				return nil, err
			}
			f.Close()
			return l, nil
		})
		if err != nil {
			t.Fatalf("with 40 descriptors, and %d loops: %v", d.Metrics().Loops, err)
		}
		l.Close()
		loops := d.Metrics().Loops
		if loops < 2 || loops >= 64 {
			t.Errorf("there are %d loops", loops)
		}
		s := d.Status()
		i := slices.IndexFunc(s.Fallbacks, func(f eddy.Fallback) bool { return f.Wanted == "more event loops" })
		if i < 0 {
			t.Fatalf("the status does not tell that there are %d loops instead of 64: %v", loops, s)
		}
		f := s.Fallbacks[i]
		if f.Reason != probe.ReasonFdLimit || !errors.Is(f.Err, unix.EMFILE) || !slices.Equal(f.Evidence, []string{fmt.Sprintf("%d of 64", loops)}) {
			t.Errorf("the reason is %+v", f)
		}
		shutdown(t, d)
	})
}

func TestLoopsAreUnbounded(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		for loops, ok := range map[int]bool{-1: false, 1024: true, 1025: false, 1 << 30: false} {
			cfg.Loops = loops
			d, err := eddy.New(cfg)
			if (err == nil) != ok {
				t.Errorf("%d loops: %v", loops, err)
			}
			if err == nil {
				shutdown(t, d)
			}
		}
	})
}

// eventpolls are the process's epoll instances.
func eventpolls() (all []int) {
	for fd, what := range descriptors() {
		if what == "anon_inode:[eventpoll]" {
			n, _ := strconv.Atoi(fd)
			all = append(all, n)
		}
	}
	return all
}

// denyAdd makes epoll_ctl(2) with EPOLL_CTL_ADD fail on one epoll instance, for
// the whole process and for good, as fs.epoll.max_user_watches does.
func denyAdd(epoll int, errno syscall.Errno) error {
	const operation, instance = 24, 16 // args of struct seccomp_data, the lower halves
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_EPOLL_CTL, Jf: 5},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: instance},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(epoll), Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: operation},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.EPOLL_CTL_ADD, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	fprog := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	// SAFETY: the kernel copies the program before the call returns.
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(fprog)))
	runtime.KeepAlive(fprog)
	if failed != 0 {
		return failed
	}
	return nil
}

func init() {
	roles["full poller"] = withFullPoller
	roles["full registry"] = withFullRegistry
}

// needDenyAdd skips where a filter cannot be had, or has other offsets.
func needDenyAdd(t *testing.T) {
	t.Helper()
	if one := uint16(1); !seccomptest.Supported() || *(*byte)(unsafe.Pointer(&one)) == 0 { // SAFETY: looks at its own variable
		t.Skip("SKIPPED: no seccomp here, or a big-endian machine")
	}
}

// stdPair is a TCP connection of std's.
func stdPair() (client, server net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	server, err = l.Accept()
	return client, server, err
}

// A loop that Go's poller does not wake is a driver on which everybody waits for
// ever.
func TestLoopThatGoDoesNotPollIsSilent(t *testing.T) {
	needDenyAdd(t)
	roleInChild(t, "full poller")
}

// withFullPoller is a process whose user may watch no more descriptors.
func withFullPoller() error {
	if os.Getenv("EDDY_BACKEND") == "portable" {
		return nil // it is Go's poller
	}
	d, err := eddy.New(eddy.Config{Loops: 8}) // its main loop is in the poller already
	if err != nil {
		return err
	}
	d.Status() // makes the ring
	client, server, err := stdPair()
	if err != nil {
		return err
	}
	ofGo := eventpolls()
	slices.Sort(ofGo)
	if err := denyAdd(ofGo[0], unix.ENOSPC); err != nil { // made by warmUp, the first
		return err
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the poller takes %v: %w", l, err)
	}
	before := descriptors()
	if _, err := eddy.New(eddy.Config{}); !errors.Is(err, os.ErrNoDeadline) || !strings.Contains(err.Error(), "max_user_watches") {
		return fmt.Errorf("a driver whose loop Go does not poll: %v", err)
	}
	if after := descriptors(); len(after) != len(before) {
		return fmt.Errorf("a New that has failed leaves descriptors open: %v, and before %v", after, before)
	}
	c, err := d.Adopt(server)
	if err != nil {
		return err
	}
	defer c.Close()
	if s := d.Status(); d.Metrics().Loops != 1 || !slices.ContainsFunc(s.Fallbacks, func(f eddy.Fallback) bool {
		return f.Wanted == "more event loops" && errors.Is(f.Err, os.ErrNoDeadline)
	}) {
		return fmt.Errorf("%d loops, and %v", d.Metrics().Loops, s)
	}
	time.AfterFunc(20*time.Millisecond, func() { client.Write([]byte("hello")) })
	c.SetReadDeadline(time.Now().Add(patience))
	p := make([]byte, 5)
	if n, err := c.Read(p); n != 5 || err != nil {
		return fmt.Errorf("read %d: %w", n, err)
	}
	return d.Close()
}

// What cannot be adopted stays the caller's.
func TestFailedAdoptClosesTheConnection(t *testing.T) {
	needDenyAdd(t)
	roleInChild(t, "full registry")
}

// withFullRegistry is a process whose driver's registry takes nobody.
func withFullRegistry() error {
	if os.Getenv("EDDY_BACKEND") == "portable" {
		return nil // it has none
	}
	client, server, err := stdPair()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ofGo := eventpolls()
	d, err := eddy.New(eddy.Config{Loops: 1})
	if err != nil {
		return err
	}
	d.Status() // makes the ring
	for _, fd := range eventpolls() {
		if !slices.Contains(ofGo, fd) {
			if err := denyAdd(fd, unix.ENOSPC); err != nil {
				return err
			}
		}
	}
	before := len(descriptors())
	if _, err := d.Adopt(server); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("adopt: %w", err)
	}
	if err := says(client, server); err != nil {
		return fmt.Errorf("a connection that could not be adopted: %w", err)
	}
	if _, err := d.AdoptListener(listener); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("adopt a listener: %w", err)
	}
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return fmt.Errorf("a listener that could not be adopted: %w", err)
	}
	c.Close()
	if c, err = listener.Accept(); err != nil {
		return fmt.Errorf("a listener that could not be adopted: %w", err)
	}
	c.Close()
	if _, err := d.AdoptPacketConn(packets); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("adopt a PacketConn: %w", err)
	}
	if _, err := packets.WriteTo([]byte("x"), packets.LocalAddr()); err != nil {
		return fmt.Errorf("a PacketConn that could not be adopted: %w", err)
	}
	dir, err := os.MkdirTemp("", "eddy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "socket")
	if _, err := d.Listen(context.Background(), "unix", name); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("listen: %w", err)
	}
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("a Listen that has failed leaves its name behind: %w", err)
	}
	if after := len(descriptors()); after != before {
		return fmt.Errorf("%d descriptors, and before %d", after, before)
	}
	return d.Close()
}
