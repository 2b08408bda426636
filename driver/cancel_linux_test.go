package driver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/uring"
)

// tally counts how races ended.
type tally struct{ completed, cancelled, released atomic.Int64 }

// race registers the request, lets something happen, and leaves it or takes
// its result. Exactly one of the two must be possible.
func (c *tally) race(r *rig, o *driver.Op, round int, happen func(), want func(int32) bool) {
	r.register(o)
	if happen != nil {
		happen()
	}
	for range (round * 37) % 2048 {
		pause()
	}
	if round%7 == 0 {
		runtime.Gosched()
	}
	if r.CancelOp(o) {
		c.cancelled.Add(1)
		return
	}
	if res, _ := o.Result(); !want(res) {
		r.t.Errorf("result %d", res)
	}
	c.completed.Add(1)
}

//go:noinline
func pause() {}

// check wants every request accounted for, and both ways of ending it.
func (c *tally) check(r *rig, rounds int) {
	r.t.Helper()
	eventually(r.t, "every request came back", func() bool { return r.Metrics().InFlight == 0 })
	done, left := c.completed.Load(), c.cancelled.Load()
	if done == 0 || left == 0 || done+left != int64(rounds) {
		r.t.Errorf("of %d requests %d completed and %d were cancelled: both must occur", rounds, done, left)
	}
	eventually(r.t, "every resource was released", func() bool { return c.released.Load() == int64(rounds) })
	m := r.Metrics()
	if m.Completed != uint64(done) || m.Cancelled != uint64(left) || m.StaleCQEs != 0 {
		r.t.Errorf("%d completed, %d cancelled: %+v", done, left, m)
	}
	r.t.Logf("%d rounds: %d completed, %d cancelled", rounds, done, left)
}

func TestCancelRacingCompletionEndsExactlyOneWay(t *testing.T) {
	kinds := map[string]func(r *rig, c *tally, worker, rounds int){
		"nop":     raceNops,
		"timeout": raceTimeouts,
		"eventfd": raceEventfds,
		"pipe":    racePipes,
	}
	for kind, run := range kinds {
		t.Run(kind, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
				const workers = 8
				rounds := scale(100_000) / workers
				r := newRig(t, driver.Config{Submit: mode})
				var c tally
				var all sync.WaitGroup
				for w := range workers {
					all.Go(func() { run(r, &c, w, rounds) })
				}
				all.Wait()
				c.check(r, rounds*workers)
			})
		})
	}
}

func raceNops(r *rig, c *tally, _, rounds int) {
	for i := range rounds {
		o := nop(0)
		o.Hold = &hold{total: &c.released}
		c.race(r, o, i, nil, func(res int32) bool { return res == 0 })
	}
}

func raceTimeouts(r *rig, c *tally, _, rounds int) {
	for i := range rounds {
		o := new(driver.Op)
		ts := uring.NewTimespec(time.Duration(i%40) * time.Microsecond)
		spec := &ts
		o.Entry.PrepTimeout(spec, 0, 0)
		o.Own(spec)
		o.Hold = &hold{total: &c.released}
		c.race(r, o, i, nil, func(res int32) bool { return res == -int32(unix.ETIME) })
	}
}

func raceEventfds(r *rig, c *tally, _, rounds int) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer unix.Close(fd)
	one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	for i := range rounds {
		buf := make([]byte, 8)
		o := prepRead(new(driver.Op), fd, buf)
		o.Hold = &hold{total: &c.released}
		c.race(r, o, i, func() {
			if i%2 == 0 {
				write(r.t, fd, one)
			}
		}, func(res int32) bool { return res == 8 && buf[0] == 1 })
	}
	// What is cancelled has not ended yet, and uses the descriptor.
	r.settle()
}

func racePipes(r *rig, c *tally, worker, rounds int) {
	rd, wr := pipe(r.t)
	if err := unix.SetNonblock(wr, true); err != nil {
		r.t.Error(err)
		return
	}
	for i := range rounds {
		buf := make([]byte, 16)
		o := prepRead(new(driver.Op), rd, buf)
		o.Hold = &hold{total: &c.released}
		c.race(r, o, i, func() {
			if i%2 == 1 {
				// A full pipe is as good.
				_, _ = unix.Write(wr, []byte{byte(worker), byte(worker), byte(worker), byte(worker)})
			}
		}, func(res int32) bool {
			return res >= 4 && res%4 == 0 && buf[0] == byte(worker) && buf[res-1] == byte(worker)
		})
	}
	r.settle()
}

// settle waits until nothing is in flight.
func (r *rig) settle() {
	r.t.Helper()
	eventually(r.t, "every request came back", func() bool { return r.Metrics().InFlight == 0 })
}

func TestRequestedCancelGivesOneAnswerAndTheOpCanBeUsedAgain(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		const workers = 4
		rounds := scale(8000) / workers
		var read, cancelled atomic.Int64
		var all sync.WaitGroup
		for range workers {
			rd, wr := pipe(t)
			all.Go(func() {
				o := new(driver.Op)
				buf := make([]byte, 1)
				for i := range rounds {
					h := new(hold)
					o.Hold = h
					r.register(prepRead(o, rd, buf))
					if i%2 == 0 {
						write(t, wr, []byte{byte(i)})
						time.Sleep(time.Duration(i%50) * time.Microsecond)
					}
					r.RequestCancel(o)
					switch res := r.result(o); res {
					case 1:
						read.Add(1)
					case -int32(unix.ECANCELED):
						cancelled.Add(1)
						if i%2 == 0 { // the byte is still there
							if _, err := unix.Read(rd, buf); err != nil {
								t.Error(err)
							}
						}
					default:
						t.Errorf("result %d", res)
					}
					if n := h.released.Load(); n != 1 {
						t.Errorf("released %d times", n)
					}
				}
			})
		}
		all.Wait()
		if read.Load() == 0 || cancelled.Load() == 0 || read.Load()+cancelled.Load() != int64(workers*rounds) {
			t.Errorf("%d read, %d cancelled of %d", read.Load(), cancelled.Load(), workers*rounds)
		}
	})
}

func TestCancelledOpenThatSucceededClosesItsDescriptor(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		fds := len(leaktest.Fds())
		var claimed, left int
		// At least that many, and until the race was won by the open once.
		rounds := scale(3000)
		for i := 0; i < rounds || r.Metrics().Disposed == 0 && i < 100*rounds; i++ {
			path, _ := unix.BytePtrFromString(fifo)
			o := &driver.Op{YieldsFd: true, Name: fifo}
			o.Entry.PrepOpenat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			// To wait for a writer it has to run where it may block.
			o.Entry.Flags = uring.SQEAsync
			o.Own(path)
			r.register(o)
			opened := make(chan error)
			go func() {
				fd, err := unix.Open(fifo, unix.O_RDWR|unix.O_CLOEXEC, 0)
				if err == nil {
					err = unix.Close(fd)
				}
				opened <- err
			}()
			for start := time.Now(); time.Since(start) < time.Duration(i%200)*time.Microsecond/2; {
				pause()
			}
			if r.CancelOp(o) {
				left++
			} else if res, _ := o.Result(); res < 0 {
				t.Errorf("open: %v", unix.Errno(-res))
			} else {
				claimed++
				unix.Close(int(res))
			}
			if err := <-opened; err != nil {
				t.Fatal(err)
			}
		}
		r.settle()
		m := r.Metrics()
		t.Logf("%d claimed, %d left, of which %d had succeeded", claimed, left, m.Disposed)
		if m.Disposed == 0 || left == 0 || m.Disposed > uint64(left) {
			t.Errorf("%d disposed of %d that were left", m.Disposed, left)
		}
		// The last request is counted out just before its descriptor is closed.
		eventually(t, "there are as many descriptors as before", func() bool { return len(leaktest.Fds()) == fds })
	})
}

func TestOpenThatNobodyCompletesIsCancelled(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			path, _ := unix.BytePtrFromString(fifo)
			o := &driver.Op{YieldsFd: true, Name: fifo}
			o.Entry.PrepOpenat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			o.Entry.Flags = uring.SQEAsync
			o.Own(path)
			r.register(o)
			time.Sleep(time.Duration(i*20) * time.Microsecond)
			if !r.CancelOp(o) {
				res, _ := o.Result()
				t.Fatalf("completed with %d", res)
			}
		}
		r.settle()
	})
}

func TestDescriptorOfDroppedOpenIsNotClosedTwice(t *testing.T) {
	// The number of a descriptor that was disposed of is soon somebody else's.
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	o := nop(1)
	o.YieldsFd = true
	if err := b.Admit(o); err != nil {
		t.Fatal(err)
	}
	_ = b.Submit()
	key := f.userData(1)
	b.GiveUp(o)
	f.complete(1, int32(fd), 0)
	b.Dispatch()
	other, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	if other != fd {
		t.Fatalf("descriptor %d was not closed, the next one is %d", fd, other)
	}
	f.inject(uring.CQE{UserData: key, Res: int32(fd)})
	b.Dispatch()
	if link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err != nil || link != "/dev/zero" {
		t.Errorf("the stale completion closed somebody's descriptor: %q, %v", link, err)
	}
}

// TestCancelThatMissesItsTargetIsRepeated: kernels lose sight of a request for a
// moment, and say that there is none.
func TestCancelThatMissesItsTargetIsRepeated(t *testing.T) {
	for _, answer := range []unix.Errno{unix.ENOENT, unix.EALREADY} {
		f := newFake(t, 1)
		f.deaf = true
		b := driver.NewBare(f, 8)
		o := nop(1)
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		_ = b.Submit()
		key := f.userData(1) &^ driver.TagMask
		say := func(tag uint64, errno unix.Errno) {
			f.inject(uring.CQE{UserData: tag | key, Res: -int32(errno)})
			b.Dispatch()
			_ = b.Submit()
			f.cq = nil // what the kernel has answered by itself
		}
		check := func(what string, pauses, cancels int) {
			t.Helper()
			if len(f.pauses) != pauses || f.cancels != cancels {
				t.Errorf("%v, %s: %d pauses and %d cancels, want %d and %d", answer, what, len(f.pauses), f.cancels, pauses, cancels)
			}
		}
		say(driver.TagCancel, answer)
		check("a request that is wanted", 0, 0)
		b.GiveUp(o)
		for i := range 20 {
			say(driver.TagCancel, answer)
			say(driver.TagCancel, answer) // to somebody else who asked
			check("before the time is over", i+1, i)
			say(driver.TagPause, unix.ETIME)
			check("the time is over", i+1, i+1)
		}
		for i := range f.pauses[1:] {
			if a, b := f.pauses[i].Addr, f.pauses[i+1].Addr; i < 10 && a == b || i >= 10 && a != b {
				t.Errorf("the pauses do not grow to their longest: the %dth", i+1)
			}
		}
		say(driver.TagCancel, answer)
		f.complete(1, 0, 0)
		b.Dispatch()
		say(driver.TagPause, unix.ETIME)
		check("a request that is gone", 21, 20)
	}
}

// askedToLeave is a context, and a request of its that the kernel has, for which an
// entry that cancels it is queued.
func askedToLeave(t *testing.T, f *fakeKernel) (*driver.Bare, *driver.Op) {
	t.Helper()
	b := driver.NewBare(f, 8)
	o := admit(t, b, 1, nil)[0]
	_ = b.Submit()
	b.Ask(o)
	if err := b.Cancel(o); err != nil {
		t.Fatal(err)
	}
	return b, o
}

// io_uring_enter(2) can refuse an entry without the kernel having looked at it
// (ENOMEM): then nobody answers, and nobody would ask again.
func TestRefusedCancelIsForgotten(t *testing.T) {
	f := newFake(t, 8)
	b, o := askedToLeave(t, f)
	f.plan(reply{err: unix.ENOMEM}, reply{err: unix.EAGAIN}, reply{err: unix.ENOMEM})
	if err := b.Submit(); err != nil {
		t.Error(err)
	}
	if f.cancels != 1 || f.voided != 2 {
		t.Errorf("%d requests to cancel were taken, %d are void", f.cancels, f.voided)
	}
	b.Dispatch()
	wantResult(t, o, -int32(unix.ECANCELED))
}

func TestRefusedPauseEndsTheRepetition(t *testing.T) {
	f := newFake(t, 8)
	f.deaf = true
	b, o := askedToLeave(t, f)
	key := f.userData(1) &^ driver.TagMask
	_ = b.Submit()
	b.Dispatch() // not found: a pause is queued
	f.plan(reply{err: unix.ENOMEM})
	_ = b.Submit()
	if len(f.pauses) != 1 {
		t.Fatalf("%d pauses", len(f.pauses))
	}
	f.deaf = false
	f.inject(uring.CQE{UserData: driver.TagPause | key, Res: -int32(unix.ETIME)})
	b.Dispatch()
	_ = b.Submit()
	b.Dispatch()
	wantResult(t, o, -int32(unix.ECANCELED))
}

// To ask again at once, where everything is refused, would hold up whoever has
// the ring for as long as there is room in its queue.
func TestCancelIsRepeatedAtOnceWhereEverythingIsRefused(t *testing.T) {
	f := newFake(t, 1024)
	b, o := askedToLeave(t, f)
	before := f.enters
	f.plan(slices.Repeat([]reply{{err: unix.EPERM}}, 2000)...)
	if err := b.Submit(); err != unix.EPERM { //nolint:errorlint // bare
		t.Errorf("%v", err)
	}
	if n := f.enters - before; n > 3 {
		t.Errorf("the kernel was asked %d times", n)
	}
	f.mu.Lock()
	f.script = nil // and now it goes again
	f.mu.Unlock()
	_ = b.Submit()
	b.Dispatch()
	wantResult(t, o, -int32(unix.ECANCELED))
}

// A multishot request has no place in an Op, which has one result. What else it
// yields must not leak all the same.
func TestFurtherDescriptorsOfARequestLeak(t *testing.T) {
	for _, last := range []int32{0, -int32(unix.ECANCELED)} {
		f := newFake(t, 8)
		b := driver.NewBare(f, 8)
		o := nop(1)
		o.YieldsFd = true
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		_ = b.Submit()
		var fds [3]int
		for i := range fds {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			fds[i] = fd
		}
		f.complete(1, int32(fds[0]), uring.CQEFMore)
		f.complete(1, int32(fds[1]), uring.CQEFMore)
		if last == 0 {
			f.complete(1, int32(fds[2]), 0)
		} else {
			unix.Close(fds[2])
			f.complete(1, last, 0)
		}
		b.Dispatch()
		wantResult(t, o, int32(fds[0]))
		for i, fd := range fds {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); (err == nil) != (i == 0) {
				t.Errorf("the last result is %d: descriptor %d: %v", last, i, err)
			}
		}
		unix.Close(fds[0])
	}
}
