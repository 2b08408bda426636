package driver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/uring"
)

func TestHoldCompletesInPlace(t *testing.T) {
	leaktest.Check(t)
	r := newRig(t, driver.Config{})
	file, err := os.Open("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	ops := make([]*driver.Op, driver.HoldEntries)
	bufs := make([][]byte, len(ops))
	for i := range ops {
		ops[i], bufs[i] = new(driver.Op), make([]byte, 16)
		ops[i].Entry.PrepRead(int(file.Fd()), bufs[i], uint64(i*16))
		ops[i].OwnBytes(bufs[i])
	}
	done, err := r.HoldOp(patience, ops...)
	if !done || err != nil {
		t.Fatal(done, err)
	}
	for i, o := range ops {
		wantResult(t, o, 16)
		if string(bufs[i]) != string(want[i*16:(i+1)*16]) {
			t.Errorf("read %d got %q", i, bufs[i])
		}
	}
	if m := r.Metrics(); m.Holds != uint64(len(ops)) || m.InFlight != 0 {
		t.Errorf("%+v", m)
	}
	if _, err := r.HoldOp(patience, make([]*driver.Op, driver.HoldEntries+1)...); !errors.Is(err, driver.ErrNoHold) {
		t.Errorf("one more than it takes: %v", err)
	}
	if done, err := r.HoldOp(patience); !done || err != nil {
		t.Errorf("of nothing: %v, %v", done, err)
	}
}

func TestHoldOutOfPatienceIsCompletedByATurn(t *testing.T) {
	leaktest.Check(t)
	r := newRig(t, driver.Config{Holds: 2})
	rd, wr := pipe(t)
	for round := range 20 {
		// One of the two has completed by then, the other one goes astray.
		ready, late := nop(0), prepRead(new(driver.Op), rd, make([]byte, 8))
		done, err := r.HoldOp(time.Millisecond, ready, late)
		if done || err != nil {
			t.Fatal(done, err)
		}
		wantResult(t, ready, 0)
		if m := r.Metrics(); m.Strays != 1 || m.InFlight != 1 {
			t.Fatalf("round %d: %+v", round, m)
		}
		go func() {
			time.Sleep(time.Millisecond)
			write(t, wr, []byte("late"))
		}()
		if res := r.result(late); res != 4 {
			t.Fatalf("result %d", res)
		}
		eventually(t, "the stray came home", func() bool { return r.Metrics().Strays == 0 })
	}
}

func TestHoldDoesNotOutstayItsPatience(t *testing.T) {
	// Waiting twice as long as one was told to is what is to be caught, so
	// the clock is the kernel's: a timeout of one and a half times the
	// patience must not complete in the hold.
	leaktest.Check(t)
	r := newRig(t, driver.Config{})
	early := 0
	for range 5 {
		const limit = 200 * time.Millisecond
		ts := uring.NewTimespec(limit * 3 / 2)
		spec := &ts
		o := new(driver.Op)
		o.Entry.PrepTimeout(spec, 0, 0)
		o.Own(spec)
		done, err := r.HoldOp(limit, o)
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			early++
		}
		if res := r.result(o); res != -int32(unix.ETIME) {
			t.Errorf("result %d", res)
		}
		if early > 0 {
			return
		}
	}
	t.Error("the hold has waited for longer than its patience, five times out of five")
}

func TestCancelledStrayComesHome(t *testing.T) {
	leaktest.Check(t)
	r := newRig(t, driver.Config{Holds: 2})
	rd, _ := pipe(t)
	for i := range 100 {
		h := new(hold)
		o := prepRead(new(driver.Op), rd, make([]byte, 8))
		o.Hold = h
		if done, err := r.HoldOp(50*time.Microsecond, o); done || err != nil {
			t.Fatal(done, err)
		}
		if i%2 == 0 {
			if !r.CancelOp(o) {
				t.Fatal("completed")
			}
		} else {
			r.RequestCancel(o)
			if res := r.result(o); res != -int32(unix.ECANCELED) {
				t.Fatalf("result %d", res)
			}
		}
		eventually(t, "the stray came home", func() bool {
			m := r.Metrics()
			return m.Strays == 0 && m.InFlight == 0 && h.released.Load() == 1
		})
	}
}

func TestCancelOfARequestThatIsHeldReturnsAtOnce(t *testing.T) {
	leaktest.Check(t)
	r := newRig(t, driver.Config{})
	rd, _ := pipe(t)
	o := prepRead(new(driver.Op), rd, make([]byte, 8))
	ended := make(chan bool)
	go func() {
		defer close(ended)
		if done, err := r.HoldOp(500*time.Millisecond, o); done || err != nil {
			t.Errorf("HoldOp: %v, %v", done, err)
		}
	}()
	eventually(t, "it is held", func() bool { return r.Metrics().InFlight == 1 })
	r.RequestCancel(o)
	select {
	case <-ended:
		t.Error("the request to cancel has waited for the hold to end")
	default:
	}
	<-ended
	if res := r.result(o); res != -int32(unix.ECANCELED) {
		t.Errorf("result %d: the wish was forgotten", res)
	}
}

func TestFullPoolOfHoldsSendsTheRequestToTheRing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode, Holds: 2})
		rd, wr := pipe(t)
		var strays []*driver.Op
		for range 2 {
			o := prepRead(new(driver.Op), rd, make([]byte, 1))
			if done, err := r.HoldOp(time.Millisecond, o); done || err != nil {
				t.Fatal(done, err)
			}
			strays = append(strays, o)
		}
		h, file := new(hold), nop(0)
		file.Hold = h
		if _, err := r.HoldOp(time.Millisecond, file); !errors.Is(err, driver.ErrNoHold) {
			t.Fatalf("a third hold: %v", err)
		}
		if h.released.Load() != 0 || file.State() != driver.Idle {
			t.Error("the refused request has lost what it owned")
		}
		if res := r.do(file); res != 0 || h.released.Load() != 1 {
			t.Errorf("result %d", res)
		}
		write(t, wr, []byte("ab"))
		for _, o := range strays {
			if res := r.result(o); res != 1 {
				t.Errorf("result %d", res)
			}
		}
		eventually(t, "they are home", func() bool { return r.Metrics().Strays == 0 })
		if done, err := r.HoldOp(patience, nop(0)); !done || err != nil {
			t.Errorf("the pool is empty for good: %v, %v", done, err)
		}
	})
}

func TestNoHoldsOnRequest(t *testing.T) {
	leaktest.Check(t)
	r := newRig(t, driver.Config{Holds: -1})
	if _, err := r.HoldOp(time.Second, nop(0)); !errors.Is(err, driver.ErrNoHold) {
		t.Errorf("%v", err)
	}
}

func TestManyHoldsAtOnceLoseNothing(t *testing.T) {
	leaktest.Check(t)
	r := newRig(t, driver.Config{Holds: 4})
	var all sync.WaitGroup
	for range 8 {
		rd, wr := pipe(t)
		all.Go(func() {
			o, buf := new(driver.Op), make([]byte, 1)
			for i := range scale(2000) {
				if i%3 == 0 {
					write(t, wr, []byte{byte(i)})
				}
				prepRead(o, rd, buf)
				_, err := r.HoldOp(time.Duration(i%50)*time.Microsecond, o)
				if errors.Is(err, driver.ErrNoHold) {
					err = r.RegisterOp(o)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if i%3 != 0 {
					if i%3 == 1 && r.CancelOp(o) {
						// It may still take what is written next.
						r.settleOp(o)
						o = new(driver.Op)
						continue
					}
					write(t, wr, []byte{byte(i)})
				}
				if res := r.result(o); res != 1 || buf[0] != byte(i) {
					t.Errorf("round %d: %d, %v", i, res, buf)
					return
				}
			}
		})
	}
	all.Wait()
	r.settle()
}

// settleOp waits until a request that was given up is back.
func (r *rig) settleOp(o *driver.Op) {
	r.t.Helper()
	eventually(r.t, "the request came back", func() bool { return o.State() == driver.Idle })
}

func TestSubmittingThreadThatExitsTakesNothingWithIt(t *testing.T) {
	exits := map[string]func(r *rig, o *driver.Op){
		"hold": func(r *rig, o *driver.Op) {
			if done, err := r.HoldOp(time.Millisecond, o); done || err != nil {
				r.t.Error(done, err)
			}
		},
		"register": func(r *rig, o *driver.Op) {
			// A cancel enters the kernel on the spot, and takes along what
			// was registered before: in the shared mode on this thread.
			rd, _ := pipe(r.t)
			other := prepRead(new(driver.Op), rd, make([]byte, 1))
			r.register(other)
			r.register(o)
			if !r.CancelOp(other) {
				r.t.Error("completed")
			}
		},
	}
	for name, submit := range exits {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
				r := newRig(t, driver.Config{Submit: mode})
				// The thread of the thread mode does not exit.
				must := mode == driver.SubmitShared || name == "hold"
				for round := 0; round < 5 || must && r.Metrics().Resubmitted == 0; round++ {
					if round == 500 {
						t.Fatal("no request was cancelled by the exit of its thread: nothing was tested")
					}
					rd, wr := pipe(t)
					buf := make([]byte, 16)
					o := prepRead(new(driver.Op), rd, buf)
					onThreadThatExits(func() { submit(r, o) })
					time.Sleep(time.Millisecond)
					write(t, wr, []byte("after the exit"))
					if res := r.result(o); res != 14 || string(buf[:14]) != "after the exit" {
						t.Fatalf("result %d, %q", res, buf)
					}
				}
				t.Logf("%d resubmitted", r.Metrics().Resubmitted)
				r.settle()
			})
		})
	}
}

// onThreadThatExits runs f on a thread that has exited, or is about to, when it
// returns.
func onThreadThatExits(f func()) {
	var on func(done chan int)
	on = func(done chan int) {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // this one cannot exit
			defer runtime.UnlockOSThread()
			again := make(chan int)
			go on(again)
			done <- <-again
			return
		}
		f()
		done <- unix.Gettid()
	}
	done := make(chan int)
	go on(done)
	tid := <-done
	for range 1000 { // it exits soon; if not, the test finds out
		if unix.Tgkill(unix.Getpid(), tid, 0) != nil {
			return
		}
		time.Sleep(10 * time.Microsecond)
	}
}

// What is lost may never come: a hold that waits for as many completions as it
// has requests out waits in vain.
func TestHoldWaitsForWhatIsLost(t *testing.T) {
	leaktest.Check(t)
	f := newFake(t, driver.HoldEntries)
	d, err := driver.NewOpening(driver.Config{Submit: driver.SubmitShared}, func(n uint32, c uring.Config) (driver.Kernel, error) {
		if n == driver.HoldEntries {
			return f, nil
		}
		return newFake(t, int(n)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := d.Handle().CheckAndInit(uring.OpNop); !ok || err != nil {
		// The scripted kernel knows no operation, but there is a ring now.
		if err != nil || d.Handle().State() != driver.StateInitialized {
			t.Fatal(ok, err, d.Handle().Fallbacks())
		}
	}
	r := turned(t, d)
	ops := make([]*driver.Op, 5)
	for i := range ops {
		ops[i] = nop(uint64(i + 1))
	}
	// The first four go first, and are lost; the fifth is still in the queue.
	f.plan(reply{consume: -1}, reply{err: unix.EBADR, before: func(f *fakeKernel) {
		f.mu.Lock()
		f.prompt = true
		f.mu.Unlock()
	}})
	done, err := r.HoldOp(200*time.Millisecond, ops...)
	if !done || err != nil {
		t.Error(done, err)
	}
	for i, o := range ops {
		wantResult(t, o, []int32{-int32(unix.EBADR), 0}[i/4])
	}
	if f.minimum != 1 || r.Metrics().Lost != 1 {
		t.Errorf("it has waited for %d completions, want 1; %+v", f.minimum, r.Metrics())
	}
	for i := range uint64(4) { // they were not lost after all
		f.complete(i+1, 0, 0)
	}
	o := nop(6)
	if done, err := r.HoldOp(patience, o); !done || err != nil {
		t.Error(done, err)
	}
	wantResult(t, o, 0)
	eventually(t, "everything is back", func() bool { return r.Metrics().InFlight == 0 })
}

func init() {
	children["no room for strays"] = noRoomForStrays
}

// The registry can be full (fs.epoll.max_user_watches): then no turn comes of a
// stray's completion.
func TestStrayThatCannotBeWatchedIsNeverCompleted(t *testing.T) {
	needMode(t, driver.SubmitThread)
	runChild(t, "no room for strays")
}

func noRoomForStrays() error {
	before := leaktest.Take()
	d, err := driver.New(driver.Config{Submit: driver.SubmitThread, Holds: 2})
	if err != nil {
		return err
	}
	h := d.Handle()
	if ok, err := h.CheckAndInit(uring.OpRead); !ok || err != nil {
		return fmt.Errorf("no ring: %v, %w, %+v", ok, err, h.Fallbacks())
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	if err := seccomptest.Deny(unix.ENOSPC, unix.SYS_EPOLL_CTL); err != nil {
		return err
	}
	for round := range 20 { // nobody turns the driver at all
		o := prepRead(new(driver.Op), fds[0], make([]byte, 1))
		if done, err := h.HoldOp(time.Millisecond, o); done || err != nil {
			return fmt.Errorf("HoldOp: %v, %w", done, err)
		}
		if _, err := unix.Write(fds[1], []byte{1}); err != nil {
			return err
		}
		if o.Park() && !arrives(o.Done()) {
			return fmt.Errorf("round %d: the request was never completed: %v", round, o.State())
		}
		if res, _ := o.Result(); res != 1 {
			return fmt.Errorf("round %d: result %d", round, res)
		}
		for h.Metrics().Strays > 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	unix.Close(fds[0])
	unix.Close(fds[1])
	// What is to be taken out of the registry cannot be either.
	if err := d.Shutdown(context.Background()); err != nil && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	if left := before.Wait(leaktest.Grace); left != "" {
		return errors.New(left)
	}
	return nil
}
