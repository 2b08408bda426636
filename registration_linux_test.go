package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/poll"
)

func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func socketpair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func register(t testing.TB, d *eddy.Driver, fd int, interest poll.Interest) *eddy.Registration {
	t.Helper()
	r, err := d.Register(fd, interest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Deregister() })
	return r
}

func write(t testing.TB, fd int, p []byte) {
	t.Helper()
	if n, err := unix.Write(fd, p); n != len(p) || err != nil {
		t.Fatal(n, err)
	}
}

// readAll reads what there is, in the way Ready's documentation says.
func readReady(ctx context.Context, r *eddy.Registration, fd int, p []byte) (int, error) {
	for {
		event, err := r.Ready(ctx, poll.Readable)
		if err != nil {
			return 0, err
		}
		n, err := unix.Read(fd, p)
		if err == unix.EAGAIN {
			r.ClearReady(event)
			continue
		}
		return n, err
	}
}

// notReady fails the test if the descriptor is said to be ready.
func notReady(t *testing.T, r *eddy.Registration, interest poll.Interest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if e, err := r.Ready(ctx, interest); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready for %v: %+v, %v", interest, e, err)
	}
}

// forget clears a readiness that may still stand, from before the descriptor was
// used up.
func forget(t *testing.T, r *eddy.Registration, interest poll.Interest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if e, err := r.Ready(ctx, interest); err == nil {
		r.ClearReady(e)
	}
}

func TestPipeWakesNobody(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, out := pipe(t)
		r := register(t, d, in, poll.Readable)
		w := register(t, d, out, poll.Writable)
		notReady(t, r, poll.Readable)
		if e, err := w.Ready(soon(t), poll.Writable); err != nil || !e.Ready.IsWritable() {
			t.Fatalf("an empty pipe cannot be written: %+v, %v", e, err)
		}

		// One byte at a time, always from a pipe that is empty.
		const bytes = 500
		received := make(chan error, 1)
		got := make(chan byte)
		ctx := soon(t)
		go func() {
			p := make([]byte, 1)
			for range bytes {
				if _, err := readReady(ctx, r, in, p); err != nil {
					received <- err
					return
				}
				got <- p[0]
			}
			received <- nil
		}()
		for i := range bytes {
			write(t, out, []byte{byte(i)})
			select {
			case b := <-got:
				if b != byte(i) {
					t.Fatalf("byte %d is %d", i, b)
				}
			case err := <-received:
				t.Fatal(err)
			case <-ctx.Done():
				t.Fatalf("byte %d has woken nobody", i)
			}
		}

		// The writer's end goes: the reader is told.
		if err := w.Deregister(); err != nil {
			t.Fatal(err)
		}
		null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(null, out, unix.O_CLOEXEC); err != nil { // closes it, and keeps its number
			t.Fatal(err)
		}
		unix.Close(null)
		if n, err := readReady(soon(t), r, in, make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("at the end: %d, %v", n, err)
		}
		for ctx := soon(t); ; {
			e, err := r.Ready(ctx, poll.Readable)
			if err != nil {
				t.Fatalf("the end is not announced: %v", err)
			}
			if e.Ready.IsReadClosed() {
				break
			}
			r.ClearReady(e) // that of the last byte
		}
	})
}

func TestFullSocketIsWritable(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := socketpair(t)
		r := register(t, d, a, poll.Readable|poll.Writable)
		e, err := r.Ready(soon(t), poll.Readable|poll.Writable)
		if err != nil || !e.Ready.IsWritable() || e.Ready.IsReadable() {
			t.Errorf("an idle socket: %+v, %v", e, err)
		}
		full := 0
		for {
			n, err := unix.Write(a, make([]byte, 4096))
			if err == unix.EAGAIN {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			full += n
		}
		forget(t, r, poll.Writable)
		notReady(t, r, poll.Writable)
		notReady(t, r, poll.Readable)

		// Both waiters of one descriptor are woken, each by its own direction.
		ctx := soon(t)
		var wg sync.WaitGroup
		for _, i := range []poll.Interest{poll.Readable, poll.Writable} {
			wg.Go(func() {
				if e, err := r.Ready(ctx, i); err != nil || !e.Ready.Satisfies(i) {
					t.Errorf("%v: %+v, %v", i, e, err)
				}
			})
		}
		time.Sleep(2 * time.Millisecond)
		write(t, b, []byte("x"))
		for full > 0 {
			n, err := unix.Read(b, make([]byte, 65536))
			if err != nil {
				t.Fatal(err)
			}
			full -= n
		}
		within(t, 10*time.Second, "a waiter", wg.Wait)
	})
}

func TestEventfdAndTimerfdAreNotSeen(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(event)
		r := register(t, d, event, poll.Readable)
		notReady(t, r, poll.Readable)
		for range 20 {
			write(t, event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
			p := make([]byte, 8)
			if n, err := readReady(soon(t), r, event, p); n != 8 || err != nil || p[0] != 1 {
				t.Fatal(n, err, p)
			}
		}
		timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(timer)
		r = register(t, d, timer, poll.Readable)
		for range 5 {
			spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(time.Millisecond))}
			if err := unix.TimerfdSettime(timer, 0, &spec, nil); err != nil {
				t.Fatal(err)
			}
			if n, err := readReady(soon(t), r, timer, make([]byte, 8)); n != 8 || err != nil {
				t.Fatal(n, err)
			}
		}
	})
}

func TestClearReadyLosesNews(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, out := pipe(t)
		r := register(t, d, in, poll.Readable)
		write(t, out, []byte("a"))
		for range 3 { // it stands until it is cleared
			if e, err := r.Ready(soon(t), poll.Readable); err != nil || !e.Ready.IsReadable() {
				t.Fatalf("%+v, %v", e, err)
			}
		}
		old, err := r.Ready(soon(t), poll.Readable)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 10)
		if n, err := unix.Read(in, p); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.ClearReady(old)
		notReady(t, r, poll.Readable)
		write(t, out, []byte("b"))
		if _, err := r.Ready(soon(t), poll.Readable); err != nil {
			t.Fatal(err)
		}
		r.ClearReady(old) // an event of before the news
		if _, err := r.Ready(soon(t), poll.Readable); err != nil {
			t.Errorf("clearing an old event has cleared a new one: %v", err)
		}
	})
}

func TestTryIOWaitsOrCallsInVain(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, out := pipe(t)
		r := register(t, d, in, poll.Readable)
		calls := 0
		p := make([]byte, 10)
		read := func() error {
			calls++
			_, err := unix.Read(in, p)
			return err
		}
		if err := r.TryIO(poll.Readable, read); err != unix.EAGAIN || calls != 0 {
			t.Errorf("an empty pipe: %v, %d calls", err, calls)
		}
		write(t, out, []byte("a"))
		if _, err := r.Ready(soon(t), poll.Readable); err != nil {
			t.Fatal(err)
		}
		if err := r.TryIO(poll.Readable, read); err != nil || calls != 1 || p[0] != 'a' {
			t.Errorf("a byte: %v, %d calls", err, calls)
		}
		if err := r.TryIO(poll.Readable, read); err != unix.EAGAIN {
			t.Errorf("an empty pipe again: %v", err)
		}
		calls = 0
		if err := r.TryIO(poll.Readable, read); err != unix.EAGAIN || calls != 0 {
			t.Errorf("known to be empty: %v, %d calls", err, calls)
		}
		if err := r.TryIO(0, read); !errors.Is(err, poll.ErrInvalidInterest) || calls != 0 {
			t.Errorf("no interest: %v", err)
		}
		write(t, out, []byte("b"))
		if _, err := r.Ready(soon(t), poll.Readable); err != nil {
			t.Fatal(err)
		}
		own := errors.New("the caller's own")
		if err := r.TryIO(poll.Readable, func() error { return own }); err != own { //nolint:errorlint // unwrapped
			t.Errorf("the caller's error: %v", err)
		}
		if err := r.Deregister(); err != nil {
			t.Fatal(err)
		}
		if err := r.TryIO(poll.Readable, read); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("deregistered: %v", err)
		}
	})
}

func TestDeregisterLeavesWaitersHanging(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, interest := range []poll.Interest{poll.Readable, poll.Readable | poll.Writable} {
			a, b := socketpair(t)
			for { // full, so that nobody can write
				if _, err := unix.Write(a, make([]byte, 65536)); err != nil {
					break
				}
			}
			r := register(t, d, a, poll.Readable|poll.Writable)
			forget(t, r, poll.Writable)
			ctx := soon(t)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if e, err := r.Ready(ctx, interest); !errors.Is(err, fs.ErrClosed) {
						t.Errorf("a waiter: %+v, %v", e, err)
					}
				})
			}
			time.Sleep(2 * time.Millisecond)
			if err := r.Deregister(); err != nil {
				t.Error(err)
			}
			within(t, 10*time.Second, "a waiter", wg.Wait)
			if err := r.Deregister(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("a second time: %v", err)
			}
			if _, err := r.Ready(ctx, interest); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Ready afterwards: %v", err)
			}
			// The descriptor is still its owner's, and can be registered anew.
			if n, err := unix.Read(b, make([]byte, 10)); n != 10 || err != nil {
				t.Errorf("the descriptor was closed: %d, %v", n, err)
			}
			again := register(t, d, a, poll.Readable)
			write(t, b, []byte("x"))
			if n, err := readReady(soon(t), again, a, make([]byte, 10)); n != 1 || err != nil {
				t.Errorf("registered anew: %d, %v", n, err)
			}
		}
	})
}

func TestContextLeavesReadyHanging(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, out := pipe(t)
		r := register(t, d, in, poll.Readable)
		// Some leave while another waits on: it must not be taken along.
		stays := make(chan error, 1)
		long := soon(t)
		go func() { _, err := r.Ready(long, poll.Readable); stays <- err }()
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() { _, err := r.Ready(ctx, poll.Readable); left <- err }()
			time.Sleep(200 * time.Microsecond)
			cancel()
			select {
			case err := <-left:
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("a cancelled Ready hangs")
			}
		}
		select {
		case err := <-stays:
			t.Errorf("another waiter was taken along: %v", err)
		default:
		}
		write(t, out, []byte("x"))
		if err := <-stays; err != nil {
			t.Errorf("the one who stayed: %v", err)
		}
	})
}

func TestShutdownLeavesReadyHanging(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, _ := pipe(t)
		r := register(t, d, in, poll.Readable)
		got := make(chan error, 10)
		ctx := soon(t)
		for range cap(got) {
			go func() { _, err := r.Ready(ctx, poll.Readable); got <- err }()
		}
		time.Sleep(2 * time.Millisecond)
		shutdown(t, d)
		for range cap(got) {
			if err := <-got; !errors.Is(err, eddy.ErrShutdown) {
				t.Errorf("a waiter: %v", err)
			}
		}
		if err := r.TryIO(poll.Readable, func() error { return nil }); !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("TryIO: %v", err)
		}
		if err := r.Deregister(); err != nil {
			t.Errorf("Deregister: %v", err)
		}
	})
}

func TestUnpollableDescriptorIsRegistered(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, pattern(10))
		for _, path := range []string{name, t.TempDir(), "/dev/null"} {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Register(int(f.Fd()), poll.Readable)
			if !errors.Is(err, poll.ErrNotPollable) {
				t.Errorf("%s: %v", path, err)
			}
			if err == nil {
				r.Deregister()
			}
			f.Close()
		}
		in, out := pipe(t)
		null, err := unix.Dup(in)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(null) // a number that nobody has now
		for what, fd := range map[string]int{"closed": null, "negative": -1, "huge": 1 << 30} {
			if _, err := d.Register(fd, poll.Readable); !errors.Is(err, unix.EBADF) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := d.Register(in, 0); !errors.Is(err, poll.ErrInvalidInterest) {
			t.Errorf("no interest: %v", err)
		}
		if _, err := d.Register(in, 0x80); !errors.Is(err, poll.ErrInvalidInterest) {
			t.Errorf("unknown interest: %v", err)
		}
		r := register(t, d, in, poll.Readable)
		if _, err := d.Register(in, poll.Readable); !errors.Is(err, fs.ErrExist) {
			t.Errorf("registered twice: %v", err)
		}
		if _, err := r.Ready(t.Context(), 0); !errors.Is(err, poll.ErrInvalidInterest) {
			t.Errorf("Ready for nothing: %v", err)
		}
		write(t, out, []byte("x"))
		if _, err := r.Ready(soon(t), poll.Readable); err != nil {
			t.Errorf("the first registration has suffered: %v", err)
		}
	})
}

// Registering must not change how the descriptor behaves for its owner.
func TestRegisterMakesADescriptorNonBlocking(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, _ := pipe(t)
		for _, nonblocking := range []bool{false, true} {
			if err := unix.SetNonblock(in, nonblocking); err != nil {
				t.Fatal(err)
			}
			before, err := unix.FcntlInt(uintptr(in), unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			r := register(t, d, in, poll.Readable)
			during, err := unix.FcntlInt(uintptr(in), unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Deregister(); err != nil {
				t.Fatal(err)
			}
			after, err := unix.FcntlInt(uintptr(in), unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			if during != before || after != before {
				t.Errorf("flags before %#x, during %#x, after %#x", before, during, after)
			}
		}
	})
}

func TestReadyForWhatWasNotRegisteredWaits(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, w := pipe(t)
		r, err := d.Register(w, poll.Readable) // which is writable
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for _, interest := range []poll.Interest{poll.Writable, poll.Readable | poll.Writable} {
			if _, err := r.Ready(ctx, interest); !errors.Is(err, poll.ErrInvalidInterest) {
				t.Errorf("Ready for %v: %v", interest, err)
			}
			if err := r.TryIO(interest, func() error { return nil }); !errors.Is(err, poll.ErrInvalidInterest) {
				t.Errorf("TryIO for %v: %v", interest, err)
			}
		}
		if err := r.Deregister(); err != nil {
			t.Error(err)
		}
	})
}
