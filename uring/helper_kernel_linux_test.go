package uring_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// Many features have no flag of their own to ask for. since takes an opcode
// that came with the same kernel, or the first one after, as the sign.
func since(t *testing.T, r *uring.Ring, what string, op uring.Op) {
	t.Helper()
	p, err := r.Probe()
	orSkip(t, "Probe", err)
	if !p.Supports(op) {
		skipKernel(t, "%s: this kernel is older than %v", what, op)
	}
}

func needFeature(t *testing.T, r *uring.Ring, f uring.Features) {
	t.Helper()
	if !r.Features().Has(f) {
		skipKernel(t, "no feature %v", f)
	}
}

// eachRing runs f on a ring of each kind that this kernel has: they post
// completions in different ways.
func eachRing(t *testing.T, entries uint32, f func(t *testing.T, r *uring.Ring)) {
	for _, flags := range []uring.SetupFlags{
		0,
		uring.SetupCoopTaskrun,
		uring.SetupSingleIssuer | uring.SetupDeferTaskrun,
		uring.SetupSQPoll,
	} {
		t.Run(flags.String(), func(t *testing.T) {
			lockThread(t)
			f(t, newRing(t, entries, uring.Config{Flags: flags, SQThreadIdle: 20 * time.Millisecond}))
		})
	}
}

// posted runs the completion work that waits for us and tells how many
// completions there are to reap.
func posted(t *testing.T, r *uring.Ring) uint32 {
	t.Helper()
	if _, err := r.SubmitGetEvents(); err != nil && err != unix.EINTR {
		t.Fatalf("SubmitGetEvents: %v", err)
	}
	return r.Completions()
}

// quiet checks that nothing completes for a while, after all was consumed.
func quiet(t *testing.T, r *uring.Ring, what string) {
	t.Helper()
	posted(t, r)
	eventually(t, "all entries are consumed", func() bool { return r.Queued() == 0 })
	for range 5 {
		if n := posted(t, r); n != 0 {
			t.Fatalf("%s: %d completions, the first is %+v", what, n, reap(t, r, 1)[0])
		}
		time.Sleep(time.Millisecond)
	}
}

// sequence reaps one completion for each given user data, which must come in
// this order.
func sequence(t *testing.T, r *uring.Ring, userData ...uint64) []uring.CQE {
	t.Helper()
	all := reap(t, r, len(userData))
	for i, c := range all {
		if c.UserData != userData[i] {
			t.Fatalf("completions came as %v, want the user data %v", all, userData)
		}
	}
	return all
}

func closeLater(t *testing.T, fd int) int {
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// tcpListener skips where there is no loopback network.
func tcpListener(t *testing.T, kind int) (fd int, port uint16) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0)
	fatalIf(t, err)
	closeLater(t, fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		skipKernel(t, "no loopback network: %v", err)
	}
	fatalIf(t, unix.Listen(fd, 128))
	name, err := unix.Getsockname(fd)
	fatalIf(t, err)
	return fd, uint16(name.(*unix.SockaddrInet4).Port)
}

func tcpSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	fatalIf(t, err)
	return closeLater(t, fd)
}

// dial connects a new socket by ordinary system calls.
func dial(t *testing.T, port uint16) int {
	t.Helper()
	fd := tcpSocket(t)
	err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)})
	if err == unix.ENETUNREACH {
		skipKernel(t, "no loopback network: %v", err)
	}
	fatalIf(t, err)
	return fd
}

// tcpPair makes both ends of a connection by ordinary system calls.
func tcpPair(t *testing.T) (client, server int) {
	t.Helper()
	listener, port := tcpListener(t, 0)
	client = dial(t, port)
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	fatalIf(t, err)
	return client, closeLater(t, server)
}

func datagramPair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	fatalIf(t, err)
	return closeLater(t, fds[0]), closeLater(t, fds[1])
}

// bufferGroup makes a buffer ring that is full of buffers of n bytes; the ids
// are the indexes.
func bufferGroup(t *testing.T, r *uring.Ring, entries, n int, group uint16, flags uring.BufferRingFlags) (*uring.BufferRing, [][]byte) {
	t.Helper()
	b, err := r.RegisterBufferRing(uint32(entries), group, flags)
	orSkip(t, "RegisterBufferRing", err)
	buffers := make([][]byte, entries)
	for i := range buffers {
		buffers[i] = pinnedBytes(t, n)
		b.Add(buffers[i], uint16(i))
	}
	b.Advance(entries)
	return b, buffers
}

// giveBack puts buffers into the ring again.
func giveBack(b *uring.BufferRing, buffers [][]byte, ids ...uint16) {
	for _, id := range ids {
		b.Add(buffers[id], id)
	}
	b.Advance(len(ids))
}

// pattern is bytes of which every stretch tells its place.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8*7 ^ i>>16*13)
	}
	return p
}

// sockaddr4 is the address of a port on the loopback network, for the kernel.
func sockaddr4(t *testing.T, port uint16) unsafe.Pointer {
	return unsafe.Pointer(loopback(t, port<<8|port>>8))
}

// witness puts one end of a socket pair into the ring's table of files. The
// other end, the result, sees the end of the stream when the kernel has taken
// the whole ring apart, requests and all.
func witness(t *testing.T, r *uring.Ring) int {
	t.Helper()
	a, z := socketPair(t)
	fatalIf(t, r.RegisterFiles([]int32{int32(a)}))
	// The number becomes that of another file, so that Cleanup closes it.
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		null, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	}
	fatalIf(t, err)
	fatalIf(t, unix.Dup3(null, a, unix.O_CLOEXEC))
	unix.Close(null)
	return z
}

func ended(fd int) bool {
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_DONTWAIT)
	return n == 0 && err == nil
}

// children are what the test program does instead of tests when it is started
// as the child of one.
var children = map[string]func(){}

const childVariable = "EDDY_URING_TEST_CHILD"

// runChild is called by TestMain.
func runChild() {
	if name := os.Getenv(childVariable); name != "" {
		f, ok := children[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such child:", name)
			os.Exit(99)
		}
		f()
		os.Exit(0)
	}
}

// child is the test program, to be run as one of the children.
func child(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		skipKernel(t, "the test program cannot find itself: %v", err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), childVariable+"="+name)
	c.Stderr = os.Stderr
	return c
}

// finish waits for a child that must end by itself.
func finish(t *testing.T, c *exec.Cmd) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		c.Process.Kill()
		t.Fatalf("the child does not end")
		return nil
	}
}
