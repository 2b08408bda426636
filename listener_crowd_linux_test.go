package eddy_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/leaktest"
)

func init() {
	roles["half open"] = halfOpenCrowd
}

// Thousands of connections that are begun and never completed, as a flood of SYN
// is, neither come out of Accept nor keep others from it. The child has a network
// of its own, whose queues are as long as the crowd, or shorter.
func TestHalfOpenConnectionsStopTheServer(t *testing.T) {
	for _, s := range settings(t) {
		if s.name == "uring-thread" {
			continue // as far as sockets go like uring-shared
		}
		t.Run(s.name, func(t *testing.T) {
			needRing(t, s)
			t.Parallel() // most of the time it waits for TCP's timers
			cmd := inRole("half open", append(s.environment(), crowdVariable+"="+strconv.Itoa(crowd()))...)
			cmd.SysProcAttr = ownNetwork()
			out, err := cmd.CombinedOutput()
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) {
				t.Skipf("SKIPPED: no network namespace here: %v", err)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// ownNetwork is for a process that has a network to itself, and root's rights
// over it.
func ownNetwork() *syscall.SysProcAttr {
	if os.Getuid() == 0 {
		return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWNET | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
}

func halfOpenCrowd() error {
	size, err := strconv.Atoi(os.Getenv(crowdVariable))
	if err != nil {
		return err
	}
	if err := errors.Join(loopbackUp(), enoughDescriptors(size+200)); err != nil {
		return err
	}
	// std reads the first once, and the kernel with each listen(2).
	for name, value := range map[string]int{"core/somaxconn": longQueue, "ipv4/tcp_max_syn_backlog": longQueue, "ipv4/tcp_syncookies": 1} {
		if err := setNetwork(name, value); err != nil {
			return err
		}
	}
	warmUp()
	before := leaktest.Take()
	err = withDriver(eddy.Config{}, func(d *eddy.Driver) error {
		if err := sameHalfOpen(d, size, longQueue); err != nil {
			return fmt.Errorf("a queue for all: %w", err)
		}
		if err := setNetwork("core/somaxconn", shortQueue); err != nil {
			return err
		}
		if err := sameHalfOpen(d, min(8*shortQueue, size/2), shortQueue); err != nil {
			return fmt.Errorf("a queue for few: %w", err)
		}
		return nil
	})
	if report := before.Wait(leaktest.Grace); report != "" && err == nil {
		err = errors.New(report)
	}
	return err
}

// Whoever finds the shorter queue full is answered with a cookie (tcp_syncookies,
// tcp(7)), of which the server knows nothing until it comes back.
const longQueue, shortQueue = 65535, 128

func setNetwork(name string, value int) error {
	return os.WriteFile("/proc/sys/net/"+name, []byte(strconv.Itoa(value)), 0)
}

func sameHalfOpen(d *eddy.Driver, size, queue int) error {
	want, err := servesHalfOpen(stdWorld, size, queue)
	if err != nil {
		return fmt.Errorf("std: %w", err)
	}
	got, err := servesHalfOpen(worldOf(d), size, queue)
	if err != nil {
		return fmt.Errorf("eddy: %w", err)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("std:\n%s\neddy:\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	return nil
}

// loopbackUp makes a new network's lo(4) work.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// enoughDescriptors raises the limit where it has to be.
func enoughDescriptors(n int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= uint64(n) {
		return err
	}
	limit.Cur, limit.Max = uint64(n), max(limit.Max, uint64(n))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d descriptors: %w", n, err)
	}
	return nil
}

// halfOpen begins a connection that its peer never sees completed: what the peer
// answers is dropped before it is looked at.
func halfOpen(to *net.TCPAddr) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	nothing := &unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, nothing)
	if err == nil {
		address := &unix.SockaddrInet4{Port: to.Port}
		copy(address.Addr[:], to.IP.To4())
		err = unix.Connect(fd, address)
	}
	if err != unix.EINPROGRESS {
		return -1, errors.Join(err, fmt.Errorf("connect(2) has said %w", err), unix.Close(fd))
	}
	return fd, nil
}

// complete lets a connection that was half open hear its peer's next answer, which
// comes with TCP's first repetition, after a second.
func complete(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
}

// hearsLate completes connections and uses them.
func hearsLate(fds []int) error {
	for _, fd := range fds {
		if err := complete(fd); err != nil {
			return err
		}
	}
	for _, fd := range fds {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(copied), "slow")
		c, err := net.FileConn(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		err = hears(c)
		c.Close()
		if err != nil {
			return fmt.Errorf("a slow client: %w", err)
		}
	}
	return nil
}

// halfOpenAt counts a listener's connections in the state SYN_RECV.
func halfOpenAt(port int) (n int, err error) {
	table, err := os.ReadFile("/proc/self/net/tcp") // proc_pid_net(5)
	if err != nil {
		return 0, err
	}
	local := fmt.Sprintf(":%04X", port)
	const received = "03" // TCP_SYN_RECV, <net/tcp_states.h>
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[3] == received && strings.HasSuffix(fields[1], local) {
			n++
		}
	}
	return n, nil
}

// servesHalfOpen is what happens to a server while and after the crowd comes.
func servesHalfOpen(w world, size, queue int) (seen []string, err error) {
	l, err := w.listen(net.ListenConfig{}, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &echoServer{Listener: l}
	server.start()
	defer server.handlers.Wait()
	defer l.Close()
	address := l.Addr().(*net.TCPAddr)
	fds := make([]int, 0, size)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	talks := 0
	for i := range size {
		fd, err := halfOpen(address)
		if err != nil {
			return nil, fmt.Errorf("half-open connection %d: %w", i, err)
		}
		fds = append(fds, fd)
		if i%(size/10) == 0 {
			talks++
			if err := server.talk(); err != nil {
				return nil, fmt.Errorf("with %d half-open connections: %w", i+1, err)
			}
		}
	}
	n, err := halfOpenAt(address.Port)
	if err != nil {
		return nil, err
	}
	fits := n == size
	if size > queue {
		fits = n == queue || n == queue+1 // kernels differ
	}
	if !fits || server.accepted.Load() != int64(talks) {
		return nil, fmt.Errorf("%d are half open of %d, with a queue of %d; %d of %d are accepted",
			n, size, queue, server.accepted.Load(), talks)
	}
	seen = append(seen, fmt.Sprintf("%d are half open, %d accepted", n, talks))
	if size > queue {
		// Some of the crowd are only slow, the first and the last.
		if err := errors.Join(hearsLate(fds[:5]), hearsLate(fds[size-5:])); err != nil {
			return nil, err
		}
	}
	seen = append(seen, fmt.Sprintf("%d accepted", server.accepted.Load()))
	return seen, server.talk()
}
