package poll_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/poll"
	"golang.org/x/sys/unix"
)

func TestEventIsSentOncePerEdge(t *testing.T) {
	p := newPoll(t)
	r, w := pipe(t)
	register(t, p, r, 7, poll.Readable)
	readable := poll.Event{Token: 7, Ready: poll.ReadyReadable}

	expect(t, p)
	w.write(t, "a")
	expect(t, p, readable)
	expect(t, p) // still readable, but no edge
	w.write(t, "b")
	expect(t, p, readable) // an edge although it was readable
	if got := r.drain(t); got != "ab" {
		t.Errorf("drained %q", got)
	}
	expect(t, p)
	w.write(t, "c")
	expect(t, p, readable)
}

func TestReadinessFromBeforeRegistrationIsAnnounced(t *testing.T) {
	p := newPoll(t)
	r, w := pipe(t)
	w.write(t, "early")
	register(t, p, r, 1, poll.Readable)
	register(t, p, w, 2, poll.Writable)
	found := events(t, p, patience)
	slices.SortFunc(found, func(a, b poll.Event) int { return int(a.Token) - int(b.Token) })
	want := []poll.Event{{Token: 1, Ready: poll.ReadyReadable}, {Token: 2, Ready: poll.ReadyWritable}}
	if !slices.Equal(found, want) {
		t.Errorf("events are %v, want %v", found, want)
	}
}

func TestReregisterRepeatsTheEventWithNewToken(t *testing.T) {
	p := newPoll(t)
	a, b := socketPair(t)
	b.write(t, "x")
	register(t, p, a, 1, poll.Readable)
	expect(t, p, poll.Event{Token: 1, Ready: poll.ReadyReadable})
	expect(t, p)
	if err := p.Registry().Reregister(a, 2, poll.Readable|poll.Writable); err != nil {
		t.Fatal(err)
	}
	expect(t, p, poll.Event{Token: 2, Ready: poll.ReadyReadable | poll.ReadyWritable})
	if err := p.Registry().Reregister(a, 3, poll.Writable); err != nil {
		t.Fatal(err)
	}
	expect(t, p, poll.Event{Token: 3, Ready: poll.ReadyWritable})
}

func TestTokenKeepsAll64Bits(t *testing.T) {
	for _, token := range []poll.Token{0, 1, 1 << 31, 1 << 32, 1<<63 | 1, 0x0123456789abcdef, math.MaxUint64} {
		p := newPoll(t)
		r, w := pipe(t)
		register(t, p, r, token, poll.Readable)
		w.write(t, "x")
		expect(t, p, poll.Event{Token: token, Ready: poll.ReadyReadable})
	}
}

func TestClosedPipeIsAnnounced(t *testing.T) {
	p := newPoll(t)
	r, w := pipe(t)
	register(t, p, r, 1, poll.Readable)
	w.write(t, "last")
	w.close()
	expect(t, p, poll.Event{
		Token: 1, Ready: poll.ReadyReadable | poll.ReadyReadClosed | poll.ReadyWriteClosed,
	})
	if got := r.drain(t); got != "last" {
		t.Errorf("drained %q", got)
	}

	q := newPoll(t)
	r, w = pipe(t)
	register(t, q, w, 2, poll.Writable)
	expect(t, q, poll.Event{Token: 2, Ready: poll.ReadyWritable})
	r.close()
	found := events(t, q, patience)
	if len(found) != 1 || !found[0].IsError() || !found[0].Satisfies(poll.Writable) {
		t.Errorf("writer of a pipe without reader: %v", found)
	}
	if found[0].IsWriteClosed() {
		t.Errorf("an error alone was taken for a closed half: %v", found)
	}
}

func TestHalfCloseOfSocketIsToldFromHangUp(t *testing.T) {
	p := newPoll(t)
	a, b := socketPair(t)
	register(t, p, a, 1, poll.Readable|poll.Writable)
	expect(t, p, poll.Event{Token: 1, Ready: poll.ReadyWritable})
	if err := unix.Shutdown(b.number, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	half := poll.ReadyReadable | poll.ReadyWritable | poll.ReadyReadClosed
	expect(t, p, poll.Event{Token: 1, Ready: half})
	b.close()
	expect(t, p, poll.Event{Token: 1, Ready: half | poll.ReadyWriteClosed})
}

func TestPeerClosingReachesWriterWithoutReadInterest(t *testing.T) {
	p := newPoll(t)
	a, b := socketPair(t)
	register(t, p, a, 1, poll.Writable)
	expect(t, p, poll.Event{Token: 1, Ready: poll.ReadyWritable})
	if err := unix.Shutdown(b.number, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	expect(t, p, poll.Event{Token: 1, Ready: poll.ReadyWritable | poll.ReadyReadClosed})
}

// TestErrorOnDatagramSocketIsNotTakenForClosed: after an ICMP error a datagram
// socket goes on; remembering it as closed would make its writer spin.
func TestErrorOnDatagramSocketIsNotTakenForClosed(t *testing.T) {
	p := newPoll(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := own(t, fd)
	// Bound to a port of its own and connected to nobody's: the discard port of
	// an address in the loopback network where nothing listens.
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 13, 77, 1}}); err != nil {
		t.Fatal(err)
	}
	register(t, p, s, 1, poll.Readable|poll.Writable)
	expect(t, p, poll.Event{Token: 1, Ready: poll.ReadyWritable})
	s.write(t, "anybody?")
	var seen poll.Ready
	for !seen.IsError() {
		found := events(t, p, patience)
		if len(found) == 0 {
			t.Fatalf("no error announced; seen %v", seen)
		}
		seen |= found[0].Ready
	}
	if seen.IsWriteClosed() || seen.IsReadClosed() {
		t.Errorf("an ICMP error was taken for a closed half: %v", seen)
	}
}

func TestOutOfBandDataIsPriorityNotReadable(t *testing.T) {
	p := newPoll(t)
	a, b := tcpPair(t)
	register(t, p, a, 1, poll.Priority)
	if err := unix.Sendto(b.number, []byte("!"), unix.MSG_OOB, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, p, poll.Event{Token: 1, Ready: poll.ReadyPriority})
}

func tcpPair(t *testing.T) (a, b *descriptor) {
	t.Helper()
	const kind = unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	listener, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	b = own(t, fd)
	if err := unix.Connect(fd, address); err != nil {
		t.Fatal(err)
	}
	accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	return own(t, accepted), b
}

func TestNoEventAfterDeregister(t *testing.T) {
	p := newPoll(t)
	r, w := pipe(t)
	register(t, p, r, 1, poll.Readable)
	w.write(t, "x") // pending in the kernel when it is deregistered
	if err := p.Registry().Deregister(r); err != nil {
		t.Fatal(err)
	}
	expect(t, p)
	w.write(t, "y")
	expect(t, p)
}

func TestReusedDescriptorGetsNoEventsOfItsPredecessor(t *testing.T) {
	p := newPoll(t)
	r, w := pipe(t)
	register(t, p, r, 1, poll.Readable)
	w.write(t, "x")
	r.close() // the last of its file: the kernel forgets the registration
	r2, w2 := pipe(t)
	if r2.number != r.number {
		t.Fatalf("descriptor %d not reused (%d): the test tests nothing", r.number, r2.number)
	}
	register(t, p, r2, 2, poll.Readable) // no EEXIST
	expect(t, p)
	w2.write(t, "y")
	expect(t, p, poll.Event{Token: 2, Ready: poll.ReadyReadable})
}

func TestEventsBeyondCapacityComeWithTheNextPoll(t *testing.T) {
	p := newPoll(t)
	const n = 10
	for i := range n {
		r, w := pipe(t)
		register(t, p, r, poll.Token(i), poll.Readable)
		w.write(t, "x")
	}
	seen := map[poll.Token]int{}
	found := poll.NewEvents(3)
	for _, want := range []int{3, 3, 3, 1, 0} {
		if err := p.Poll(found, 0); err != nil {
			t.Fatal(err)
		}
		if found.Len() != want {
			t.Errorf("%d events, want %d", found.Len(), want)
		}
		for i := range found.Len() {
			seen[found.At(i).Token]++
		}
	}
	if len(seen) != n {
		t.Errorf("saw %d tokens of %d: %v", len(seen), n, seen)
	}
}

func TestErrorsNameTheirReason(t *testing.T) {
	p := newPoll(t)
	r, _ := pipe(t)
	_, unregistered := pipe(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "regular"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	register(t, p, r, 1, poll.Readable)

	g := p.Registry()
	notOpen := poll.SourceFd(1<<30 - 1)
	tooWide := poll.SourceFd(-1)
	if strconv.IntSize == 64 {
		tooWide = poll.SourceFd(int64(1)<<32 | int64(r.number)) // the kernel would see r
	}
	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"regular file", g.Register(poll.SourceFd(file.Fd()), 1, poll.Readable), poll.ErrNotPollable},
		{"regular file, errno", g.Register(poll.SourceFd(file.Fd()), 1, poll.Readable), unix.EPERM},
		{"twice", g.Register(r, 2, poll.Readable), fs.ErrExist},
		{"twice, errno", g.Register(r, 2, poll.Readable), unix.EEXIST},
		{"no interest", g.Register(r, 2, 0), poll.ErrInvalidInterest},
		{"unknown interest", g.Reregister(r, 2, poll.Readable|0x80), poll.ErrInvalidInterest},
		{"no interest, errno", g.Reregister(r, 2, 0), unix.EINVAL},
		{"modify unregistered", g.Reregister(unregistered, 2, poll.Writable), fs.ErrNotExist},
		{"remove unregistered", g.Deregister(unregistered), fs.ErrNotExist},
		{"not open", g.Register(notOpen, 2, poll.Readable), unix.EBADF},
		{"remove not open", g.Deregister(notOpen), unix.EBADF},
		{"negative", g.Register(poll.SourceFd(-1), 2, poll.Readable), unix.EBADF},
		{"too wide", g.Deregister(tooWide), unix.EBADF},
		{"itself", g.Register(poll.SourceFd(p.Fd()), 2, poll.Readable), unix.EINVAL},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.err, test.want)
		}
		var call *os.SyscallError
		if !errors.As(test.err, &call) || call.Syscall == "" {
			t.Errorf("%s: %v does not name its system call", test.name, test.err)
		}
	}
}

func TestClosedPollRefuses(t *testing.T) {
	p, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	w := newWaker(t, p, 1)
	r, _ := pipe(t)
	number := p.Fd()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("descriptor %d after Close: %v, want EBADF", number, err)
	}
	for name, err := range map[string]error{
		"Poll":       p.Poll(poll.NewEvents(1), 0),
		"Close":      p.Close(),
		"Register":   p.Registry().Register(r, 1, poll.Readable),
		"Reregister": p.Registry().Reregister(r, 1, poll.Readable),
		"Deregister": p.Registry().Deregister(r),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after Close: %v, want os.ErrClosed", name, err)
		}
	}
	if err := w.Wake(); err != nil {
		t.Errorf("Wake of a closed Poll: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("closing the Waker of a closed Poll: %v", err)
	}
}

// TestCloseDuringPollKeepsTheNumber: if Close released the descriptor while a
// Poll waits in it, the number could belong to another file by the time that Poll
// or a Register is made.
func TestCloseDuringPollKeepsTheNumber(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 1)
	returned := make(chan error)
	go func() { returned <- p.Poll(poll.NewEvents(1), -1) }()
	waitUntilBlocked(t)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(p.Fd()), unix.F_GETFD, 0); err != nil {
		t.Errorf("descriptor %d while a Poll waits in it: %v", p.Fd(), err)
	}
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	if err := <-returned; err != nil {
		t.Errorf("the Poll that was waiting: %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(p.Fd()), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("descriptor %d after the last Poll: %v, want EBADF", p.Fd(), err)
	}
}

// waitUntilBlocked returns when some thread waits in an epoll system call.
func waitUntilBlocked(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		paths, err := filepath.Glob("/proc/self/task/*/syscall")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if waitsInEpoll(path) {
				return
			}
		}
	}
	if !seccomptest.Supported() {
		t.Skip("SKIPPED: under an emulator of the processor, /proc has another kernel's system calls")
	}
	t.Fatal("no thread came to wait")
}

func TestDescriptorsAreNotInherited(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 1)
	for name, fd := range map[string]int{"epoll": p.Fd(), "waker": w.PollFd()} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s descriptor has flags %#x, %v", name, flags, err)
		}
	}
}

func TestNothingLeaks(t *testing.T) {
	before := openDescriptors(t)
	for range 50 {
		p, err := poll.New()
		if err != nil {
			t.Fatal(err)
		}
		w, err := poll.NewWaker(p.Registry(), 1)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		p.Close()
		if _, err := poll.NewWaker(p.Registry(), 1); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("NewWaker of a closed Poll: %v", err)
		}
	}
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestFdIsReadableInAnotherPoll is what lets a driver be driven by its fd.
func TestFdIsReadableInAnotherPoll(t *testing.T) {
	inner, outer := newPoll(t), newPoll(t)
	register(t, outer, poll.SourceFd(inner.Fd()), 5, poll.Readable)
	r, w := pipe(t)
	register(t, inner, r, 6, poll.Readable)
	expect(t, outer)
	w.write(t, "x")
	expect(t, outer, poll.Event{Token: 5, Ready: poll.ReadyReadable})
	expect(t, inner, poll.Event{Token: 6, Ready: poll.ReadyReadable})
	w.write(t, "y")
	expect(t, outer, poll.Event{Token: 5, Ready: poll.ReadyReadable})
}

// TestFdParksInTheRuntimePoller is the other way to drive it: no thread waits.
func TestFdParksInTheRuntimePoller(t *testing.T) {
	p := newPoll(t)
	duplicate, err := unix.FcntlInt(uintptr(p.Fd()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(duplicate), "epoll")
	defer file.Close()
	if err := file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatalf("the runtime does not poll the descriptor: %v", err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	register(t, p, r, 1, poll.Readable)
	time.AfterFunc(5*time.Millisecond, func() { unix.Write(w.number, []byte("x")) })
	var found []poll.Event
	err = raw.Read(func(uintptr) bool {
		found = events(t, p, 0)
		return len(found) > 0
	})
	if err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestPollDoesNotAllocate(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 1)
	found := poll.NewEvents(8)
	sum := uint64(0)
	for name, poll := range map[string]func(){
		"zero timeout, nothing there": func() { p.Poll(found, 0) },
		"an event there": func() {
			w.Wake()
			p.Poll(found, time.Second)
			for e := range found.All {
				sum += uint64(e.Token)
			}
		},
		"no timeout":      func() { w.Wake(); p.Poll(found, -1) },
		"timeout expires": func() { p.Poll(found, time.Microsecond) },
	} {
		poll()
		if n := testing.AllocsPerRun(50, poll); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if sum == 0 {
		t.Error("no event came: the test tests nothing")
	}
}

// TestRegistryIsSafeWhilePolling has goroutines register, fire and deregister
// descriptors under a running Poll; each must get its event, and no other's.
func TestRegistryIsSafeWhilePolling(t *testing.T) {
	p := newPoll(t)
	stop := newWaker(t, p, math.MaxUint64)
	const goroutines, rounds = 8, 200
	arrived := make([]chan struct{}, goroutines)
	for i := range arrived {
		arrived[i] = make(chan struct{}, 1)
	}
	polled := make(chan error, 1)
	go func() {
		found := poll.NewEvents(4)
		for {
			if err := p.Poll(found, -1); err != nil {
				polled <- err
				return
			}
			for e := range found.All {
				if e.Token == math.MaxUint64 {
					polled <- nil
					return
				}
				arrived[e.Token] <- struct{}{}
			}
		}
	}()
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			for range rounds {
				var fds [2]int
				if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
					t.Error(err)
					return
				}
				if err := p.Registry().Register(poll.SourceFd(fds[0]), poll.Token(i), poll.Readable); err != nil {
					t.Error(err)
				}
				unix.Write(fds[1], []byte("x"))
				select {
				case <-arrived[i]:
				case <-time.After(patience):
					t.Error("an event was lost")
					return
				}
				if err := p.Registry().Deregister(poll.SourceFd(fds[0])); err != nil {
					t.Error(err)
				}
				unix.Close(fds[0])
				unix.Close(fds[1])
			}
		})
	}
	all.Wait()
	if err := stop.Wake(); err != nil {
		t.Fatal(err)
	}
	if err := <-polled; err != nil {
		t.Error(err)
	}
}
