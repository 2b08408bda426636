package driver_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/poll"
)

// newTurned makes a driver without a ring, turned by a goroutine.
func newTurned(t *testing.T) *rig {
	t.Helper()
	d, err := driver.New(driver.Config{NoRing: true})
	if err != nil {
		t.Fatal(err)
	}
	return turned(t, d)
}

// newStill makes one that is turned by the test itself.
func newStill(t *testing.T) (*driver.Driver, *driver.Handle) {
	t.Helper()
	d, err := driver.New(driver.Config{NoRing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return d, d.Handle()
}

// sockets makes a connected, non-blocking pair that the test's end closes.
func sockets(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func watch(t *testing.T, h *driver.Handle, fd int, interest poll.Interest) *driver.Registration {
	t.Helper()
	r, err := h.Register(fd, interest)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func turn(t *testing.T, d *driver.Driver) {
	t.Helper()
	if _, err := d.Turn(0); err != nil {
		t.Fatal(err)
	}
}

// readyNow asks without waiting.
func readyNow(t *testing.T, r *driver.Registration, interest poll.Interest) (driver.ReadyEvent, bool) {
	t.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	e, err := r.Ready(ended, interest)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return e, err == nil
}

func TestClearWithAnOldTickKeepsTheNews(t *testing.T) {
	leaktest.Check(t)
	d, h := newStill(t)
	a, b := sockets(t)
	r := watch(t, h, a, poll.Readable)
	write(t, b, []byte("1"))
	turn(t, d)
	old, ok := readyNow(t, r, poll.Readable)
	if !ok || !old.Ready.IsReadable() {
		t.Fatalf("%v, %v", old, ok)
	}
	// A reader empties the socket and gets EAGAIN; before it can say so there
	// is news.
	write(t, b, []byte("2"))
	turn(t, d)
	r.ClearReady(old)
	now, ok := readyNow(t, r, poll.Readable)
	if !ok {
		t.Fatal("the news was cleared: nothing would announce it again")
	}
	r.ClearReady(now)
	if e, ok := readyNow(t, r, poll.Readable); ok {
		t.Errorf("still ready after the clear: %v", e)
	}
}

func TestHangUpOfAFifoDoesNotOutliveItsClear(t *testing.T) {
	// A FIFO whose last writer is gone is closed until there is a new writer;
	// then reads say EAGAIN, and whoever clears must be able to wait again.
	leaktest.Check(t)
	d, h := newStill(t)
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(flags int) int {
		fd, err := unix.Open(name, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	rd := open(unix.O_RDONLY)
	defer unix.Close(rd)
	r := watch(t, h, rd, poll.Readable)
	for range 3 {
		unix.Close(open(unix.O_WRONLY))
		turn(t, d)
		for range 2 { // it stays, uncleared
			if e, ok := readyNow(t, r, poll.Readable); !ok || !e.Ready.IsReadClosed() {
				t.Fatalf("after the hang-up: %v, %v", e, ok)
			}
		}
		wr := open(unix.O_WRONLY)
		turn(t, d)
		if err := r.TryIO(poll.Readable, func() error { _, err := unix.Read(rd, make([]byte, 1)); return err }); err != unix.EAGAIN {
			t.Fatalf("read: %v", err)
		}
		if e, ok := readyNow(t, r, poll.Readable); ok {
			t.Fatalf("after the clear: %v", e)
		}
		write(t, wr, []byte("x"))
		turn(t, d)
		if e, ok := readyNow(t, r, poll.Readable); !ok || !e.Ready.IsReadable() {
			t.Fatalf("after the write: %v, %v", e, ok)
		}
		if err := r.TryIO(poll.Readable, func() error { _, err := unix.Read(rd, make([]byte, 1)); return err }); err != nil {
			t.Fatalf("read: %v", err)
		}
		unix.Close(wr)
		turn(t, d)
	}
}

func TestReadyWakesOnlyWhoWaitsForIt(t *testing.T) {
	leaktest.Check(t)
	d, h := newStill(t)
	a, b := sockets(t)
	for { // fill it, so that it is not writable
		if _, err := unix.Write(a, make([]byte, 4096)); err != nil {
			break
		}
	}
	r := watch(t, h, a, poll.Readable|poll.Writable)
	turn(t, d)
	type answer struct {
		e   driver.ReadyEvent
		err error
	}
	readers, writers := make(chan answer, 8), make(chan answer, 8)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { e, err := r.Ready(ctx, poll.Readable); readers <- answer{e, err} })
		all.Go(func() { e, err := r.Ready(ctx, poll.Writable); writers <- answer{e, err} })
	}
	eventually(t, "they wait", func() bool { return r.Waiters() == 6 })
	write(t, b, []byte("x"))
	turn(t, d)
	for range 3 {
		if got := <-readers; got.err != nil || !got.e.Ready.IsReadable() || got.e.Ready.IsWritable() {
			t.Errorf("a reader got %+v", got)
		}
	}
	select {
	case got := <-writers:
		t.Errorf("a writer was woken by data to read: %+v", got)
	default:
	}
	if n := r.Waiters(); n != 3 {
		t.Errorf("%d wait, want the writers", n)
	}
	cancel()
	for range 3 {
		if got := <-writers; !errors.Is(got.err, context.Canceled) {
			t.Errorf("a writer got %+v", got)
		}
	}
	all.Wait()
}

func TestReadyThatWasCancelledLeavesNoWaiter(t *testing.T) {
	leaktest.Check(t)
	r := newTurned(t)
	a, b := sockets(t)
	reg := watch(t, r.Handle, a, poll.Readable)
	buf := make([]byte, 1)
	var got, gone int
	// At least that many, and until the race has ended both ways.
	rounds := scale(1000)
	for i := 0; i < rounds || (got == 0 || gone == 0) && i < 100*rounds; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan bool)
		go func() {
			if i%2 == 0 {
				write(t, b, []byte("x"))
				cancel()
			} else {
				cancel()
				time.Sleep(time.Duration(i%40) * time.Microsecond)
				write(t, b, []byte("x"))
			}
			close(done)
		}()
		_, err := reg.Ready(ctx, poll.Readable)
		switch {
		case err == nil:
			got++
		case errors.Is(err, context.Canceled):
			gone++
		default:
			t.Fatal(err)
		}
		<-done
		// Whoever comes next finds the byte: no wake-up went to a waiter that
		// had left.
		for {
			e, err := reg.Ready(t.Context(), poll.Readable)
			if err != nil {
				t.Fatal(err)
			}
			n, err := unix.Read(a, buf)
			if n == 1 {
				break
			}
			if err != unix.EAGAIN {
				t.Fatal(err)
			}
			reg.ClearReady(e)
		}
		// There is no second one; and the next round has to wait.
		again := func() error { _, err := unix.Read(a, buf); return err }
		if err := reg.TryIO(poll.Readable, again); err != unix.EAGAIN {
			t.Fatalf("a second byte: %v", err)
		}
	}
	if got == 0 || gone == 0 {
		t.Errorf("%d ready, %d cancelled: both must occur", got, gone)
	}
	if n := reg.Waiters(); n != 0 {
		t.Errorf("%d waiters are left", n)
	}
}

func TestDeregisterWakesEverybodyOnce(t *testing.T) {
	leaktest.Check(t)
	r := newTurned(t)
	a, _ := sockets(t)
	reg := watch(t, r.Handle, a, poll.Readable)
	errs := make(chan error)
	for range 10 {
		go func() { _, err := reg.Ready(context.Background(), poll.Readable); errs <- err }()
	}
	eventually(t, "they wait", func() bool { return reg.Waiters() == 10 })
	if err := reg.Deregister(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := <-errs; !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%v, want fs.ErrClosed", err)
		}
	}
	if err := reg.Deregister(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the second time: %v", err)
	}
	if err := reg.TryIO(poll.Readable, func() error { t.Error("called"); return nil }); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("TryIO: %v", err)
	}
	if n := r.Metrics().Registrations; n != 0 {
		t.Errorf("%d registrations", n)
	}
	// The descriptor can be registered anew.
	again := watch(t, r.Handle, a, poll.Writable)
	if e, err := again.Ready(t.Context(), poll.Writable); err != nil || !e.Ready.IsWritable() {
		t.Errorf("%v, %v", e, err)
	}
	if err := again.Deregister(); err != nil {
		t.Error(err)
	}
}

func TestShutdownWakesEverybodyWhoWaitsForReadiness(t *testing.T) {
	leaktest.Check(t)
	r := newTurned(t)
	errs := make(chan error)
	var regs []*driver.Registration
	for range 20 {
		a, _ := sockets(t)
		reg := watch(t, r.Handle, a, poll.Readable)
		regs = append(regs, reg)
		go func() { _, err := reg.Ready(context.Background(), poll.Readable); errs <- err }()
	}
	for _, reg := range regs {
		eventually(t, "it waits", func() bool { return reg.Waiters() == 1 })
	}
	if err := r.shutdown(); err != nil {
		t.Fatal(err)
	}
	for range regs {
		if err := <-errs; !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("%v, want ErrShutdown", err)
		}
	}
	for _, reg := range regs {
		if _, err := reg.Ready(t.Context(), poll.Readable); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("afterwards: %v", err)
		}
		if err := reg.Deregister(); err != nil {
			t.Errorf("Deregister: %v", err)
		}
	}
	if n := r.Metrics().Registrations; n != 0 {
		t.Errorf("%d registrations", n)
	}
}

func TestTryIOClearsReadinessOnEAGAINOnly(t *testing.T) {
	leaktest.Check(t)
	d, h := newStill(t)
	a, b := sockets(t)
	r := watch(t, h, a, poll.Readable)
	called := 0
	read := func() error {
		called++
		_, err := unix.Read(a, make([]byte, 8))
		return err
	}
	if err := r.TryIO(poll.Readable, read); err != unix.EAGAIN || called != 0 {
		t.Errorf("not ready: %v, %d calls", err, called)
	}
	write(t, b, []byte("x"))
	turn(t, d)
	if err := r.TryIO(poll.Readable, read); err != nil || called != 1 {
		t.Errorf("ready: %v, %d calls", err, called)
	}
	failure := errors.New("something else")
	if err := r.TryIO(poll.Readable, func() error { return failure }); err != failure {
		t.Errorf("%v", err)
	}
	if err := r.TryIO(poll.Readable, read); err != unix.EAGAIN || called != 2 {
		t.Errorf("out of date: %v, %d calls", err, called)
	}
	if err := r.TryIO(poll.Readable, read); err != unix.EAGAIN || called != 2 {
		t.Errorf("cleared: %v, %d calls", err, called)
	}
	if err := r.TryIO(0, read); !errors.Is(err, poll.ErrInvalidInterest) {
		t.Errorf("no interest: %v", err)
	}
	if _, err := r.Ready(t.Context(), 0); !errors.Is(err, poll.ErrInvalidInterest) {
		t.Errorf("no interest: %v", err)
	}
}

func TestWhatCannotBeRegisteredIsRefused(t *testing.T) {
	leaktest.Check(t)
	_, h := newStill(t)
	file, err := os.Open("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	a, _ := sockets(t)
	for _, c := range []struct {
		fd       int
		interest poll.Interest
		want     error
	}{
		{int(file.Fd()), poll.Readable, poll.ErrNotPollable},
		{-1, poll.Readable, unix.EBADF},
		{1 << 20, poll.Readable, unix.EBADF},
		{a, 0, poll.ErrInvalidInterest},
		{a, 0x80, poll.ErrInvalidInterest},
	} {
		if r, err := h.Register(c.fd, c.interest); !errors.Is(err, c.want) || r != nil {
			t.Errorf("descriptor %d for %v: %v, want %v", c.fd, c.interest, err, c.want)
		}
	}
	if n := h.Metrics().Registrations; n != 0 {
		t.Errorf("%d registrations", n)
	}
	r := watch(t, h, a, poll.Readable)
	if _, err := h.Register(a, poll.Readable); !errors.Is(err, fs.ErrExist) {
		t.Errorf("twice: %v", err)
	}
	if err := r.Deregister(); err != nil {
		t.Error(err)
	}
}

func TestEventFetchedBeforeDeregisterReachesNobodyElse(t *testing.T) {
	// The slot of a registration that has ended is given to the next one only
	// after the turn in which an event for it can still be on its way.
	leaktest.Check(t)
	d, h := newStill(t)
	var regs []*driver.Registration
	for range 50 {
		a, b := sockets(t)
		reg := watch(t, h, a, poll.Readable)
		write(t, b, []byte("x"))
		if err := reg.Deregister(); err != nil {
			t.Fatal(err)
		}
		c, _ := sockets(t)
		regs = append(regs, watch(t, h, c, poll.Readable))
	}
	if n := h.RegistrationSlots(); n != 100 {
		t.Errorf("%d slots before the turn, want 100: none is free yet", n)
	}
	turn(t, d)
	if n := h.RegistrationSlots(); n != 50 {
		t.Errorf("%d slots after it, want 50", n)
	}
	turn(t, d)
	for i, reg := range regs {
		if e, ok := readyNow(t, reg, poll.Readable); ok {
			t.Errorf("registration %d is %v by somebody else's event", i, e)
		}
	}
}

func TestChurnOfRegistrationsWithReusedDescriptors(t *testing.T) {
	leaktest.Check(t)
	r := newTurned(t)
	const workers = 8
	var read atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range 1000 / workers {
				fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Error(err)
					return
				}
				reg, err := r.Register(fds[0], poll.Readable)
				if err != nil {
					t.Error(err)
					return
				}
				go func() {
					time.Sleep(time.Duration(i%4) * 10 * time.Microsecond)
					write(t, fds[1], []byte{42})
				}()
				for {
					e, err := reg.Ready(t.Context(), poll.Readable)
					if err != nil {
						t.Error(err)
						break
					}
					var buf [1]byte
					n, err := unix.Read(fds[0], buf[:])
					if n == 1 && buf[0] == 42 {
						read.Add(1)
						break
					}
					if err != unix.EAGAIN {
						t.Errorf("read: %d, %v", n, err)
						break
					}
					reg.ClearReady(e)
				}
				if err := reg.Deregister(); err != nil {
					t.Error(err)
				}
				unix.Close(fds[0])
				unix.Close(fds[1])
			}
		})
	}
	all.Wait()
	if read.Load() != 1000 || r.Metrics().Registrations != 0 {
		t.Errorf("%d read; %+v", read.Load(), r.Metrics())
	}
}

// Slots are vacated by turns, and there are no turns without events.
func TestSlotsOfEndedRegistrationsPileUpWithoutEvents(t *testing.T) {
	leaktest.Check(t)
	r := newTurned(t)
	for round := range 3 {
		for range 128 {
			a, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			if err != nil {
				t.Fatal(err)
			}
			if err := watch(t, r.Handle, a, poll.Readable).Deregister(); err != nil {
				t.Error(err)
			}
			unix.Close(a)
		}
		// The driver's first turn may have come in between, and found some.
		eventually(t, "slots are vacated", func() bool { return r.RegistrationSlots() < 128 })
		if m := r.Metrics(); m.Events != 0 || m.Unparks != 0 {
			t.Fatalf("round %d: there were other reasons for a turn: %+v", round, m)
		}
	}
}

// What a descriptor is watched for changes by what is added and what is dropped, and
// what it is ready for is announced anew.
func TestReregisterForgetsTheRest(t *testing.T) {
	d, h := newStill(t)
	a, b := sockets(t)
	if _, err := unix.Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	r := watch(t, h, a, poll.Readable)
	for step, c := range []struct {
		add, drop poll.Interest
		want      poll.Ready
	}{
		{poll.Writable, 0, poll.ReadyReadable | poll.ReadyWritable},
		{0, poll.Readable, poll.ReadyWritable},
		{poll.Priority, poll.Writable, 0},
		{poll.Readable, 0, poll.ReadyReadable},
		{poll.Readable, poll.Readable, poll.ReadyReadable},
	} {
		io := r.IO()
		io.Clear(io.Readiness(), ^poll.Ready(0))
		if err := r.Reregister(c.add, c.drop); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Turn(0); err != nil {
			t.Fatal(err)
		}
		seen := io.Readiness()
		if got := seen.Ready(driver.Reading) | seen.Ready(driver.Writing); got != c.want {
			t.Errorf("step %d: ready for %v, want %v", step, got, c.want)
		}
	}
	if err := r.Reregister(0, poll.Readable|poll.Priority); !errors.Is(err, poll.ErrInvalidInterest) {
		t.Errorf("nothing left: %v", err)
	}
	if err := r.Reregister(poll.Writable, 0); err != nil {
		t.Errorf("after an error: %v", err)
	}
	if err := r.Deregister(); err != nil {
		t.Fatal(err)
	}
	if err := r.Reregister(poll.Readable, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Deregister: %v", err)
	}
}
