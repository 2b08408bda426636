package driver_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/poll"
	"github.com/eddyio/eddy/uring"
)

func TestShutdownTakesBackRequestsThatNeverComplete(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		rd, _ := pipe(t)
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		var ops []*driver.Op
		for range 300 { // more than the ring has entries
			o := prepRead(new(driver.Op), rd, make([]byte, 8))
			r.register(o)
			ops = append(ops, o)
		}
		for range 10 {
			path, _ := unix.BytePtrFromString(fifo)
			o := &driver.Op{YieldsFd: true}
			o.Entry.PrepOpenat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			o.Entry.Flags = uring.SQEAsync
			o.Own(path)
			r.register(o)
			ops = append(ops, o)
		}
		stray := prepRead(new(driver.Op), rd, make([]byte, 8))
		if done, err := r.HoldOp(time.Millisecond, stray); done || err != nil {
			t.Fatal(done, err)
		}
		ops = append(ops, stray)
		parked := make(chan bool)
		go func() { ops[0].Wait(); close(parked) }()
		if err := r.shutdown(); err != nil {
			t.Fatal(err)
		}
		<-parked
		for i, o := range ops {
			if o.State() != driver.Completed {
				t.Fatalf("request %d is %v", i, o.State())
			}
			if res, _ := o.Result(); res != -int32(unix.ECANCELED) {
				t.Errorf("request %d: %d, want ECANCELED", i, res)
			}
		}
	})
}

func TestShutdownEndsAHoldThatWaitsInTheKernel(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		rd, _ := pipe(t)
		o := prepRead(new(driver.Op), rd, make([]byte, 8))
		ended := make(chan bool)
		var res int32
		go func() {
			if _, err := r.HoldOp(100*time.Millisecond, o); err != nil {
				t.Errorf("HoldOp: %v", err)
			}
			o.Wait()
			res, _ = o.Result()
			close(ended)
		}()
		eventually(t, "the hold is in the kernel", func() bool { return r.Metrics().InFlight == 1 })
		if err := r.shutdown(); err != nil {
			t.Fatal(err)
		}
		if !arrives(ended) {
			t.Fatal("the caller of HoldOp waits for ever")
		}
		if res != -int32(unix.ECANCELED) {
			t.Errorf("result %d", res)
		}
	})
}

func TestShutdownTwiceAndUseAfterwards(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		for range 2 {
			if err := r.shutdown(); err != nil {
				t.Fatal(err)
			}
		}
		o, h := nop(1), new(hold)
		o.Hold = h
		if err := r.RegisterOp(o); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("RegisterOp: %v", err)
		}
		if o.State() != driver.Idle || h.released.Load() != 1 {
			t.Errorf("the refused request is %v and was released %d times", o.State(), h.released.Load())
		}
		o, h = nop(2), new(hold)
		o.Hold = h
		if _, err := r.HoldOp(time.Second, o); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("HoldOp: %v", err)
		}
		if o.State() != driver.Idle || h.released.Load() != 0 {
			t.Error("a refused hold keeps what it owns for the caller")
		}
		rd, _ := pipe(t)
		if _, err := r.Register(rd, poll.Readable); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("Register: %v", err)
		}
		if err := r.Unpark(); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("Unpark: %v", err)
		}
		if err := r.RegisterSignalReceiver(rd); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("RegisterSignalReceiver: %v", err)
		}
		if _, err := r.driver.Turn(0); !errors.Is(err, driver.ErrShutdown) {
			t.Errorf("Turn: %v", err)
		}
	})
	d, err := driver.New(driver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ok, err := d.Handle().CheckAndInit(uring.OpNop); ok || !errors.Is(err, driver.ErrShutdown) {
		t.Errorf("CheckAndInit: %v, %v", ok, err)
	}
}

func TestShutdownReportsWhatTheKernelNeverGivesBack(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		f := newFake(t, 8)
		f.deaf = true
		d, err := driver.NewScripted(driver.Config{Submit: mode}, f)
		if err != nil {
			t.Fatal(err)
		}
		r := d.Handle()
		var buffers []weak.Pointer[[64]byte]
		var holds []*hold
		var last *driver.Op
		for i := range 3 {
			buf, h := new([64]byte), new(hold)
			o := &driver.Op{Name: string(rune('a' + i)), Hold: h}
			o.Entry.PrepRead(0, buf[:], uint64(i))
			o.OwnBytes(buf[:])
			if err := r.RegisterOp(o); err != nil {
				t.Fatal(err)
			}
			buffers, holds = append(buffers, weak.Make(buf)), append(holds, h)
			f.userData(uint64(i))
			last = o
			if i == 1 && !r.CancelOp(o) {
				t.Fatal("completed")
			}
		}
		f.complete(2, 64, 0)             // this one comes back
		if mode == driver.SubmitShared { // nobody turns this driver
			if _, err := d.Turn(patience); err != nil {
				t.Fatal(err)
			}
		}
		last.Wait()
		wantResult(t, last, 64)
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(context.Background(), 30*time.Millisecond, why)
		defer cancel()
		err = d.Shutdown(ctx)
		var left *driver.ShutdownError
		if !errors.As(err, &left) || !errors.Is(err, why) {
			t.Fatalf("Shutdown: %v", err)
		}
		slices.SortFunc(left.Stuck, func(a, b driver.Stuck) int { return strings.Compare(a.Name, b.Name) })
		if want := []driver.Stuck{{Op: "read", Name: "a"}, {Op: "read", Name: "b"}}; !slices.Equal(left.Stuck, want) {
			t.Errorf("stuck: %v", left.Stuck)
		}
		for _, word := range []string{"2 request", `read "a"`, `read "b"`, "enough"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not say %q", err, word)
			}
		}
		if m := r.Metrics(); m.Quarantined != 2 || m.InFlight != 2 {
			t.Errorf("%+v", m)
		}
		if f.closed {
			t.Error("the ring was closed under the kernel")
		}
		for range 5 {
			runtime.GC()
		}
		for i := range 2 {
			if buffers[i].Value() == nil || holds[i].released.Load() != 0 {
				t.Errorf("the memory of request %d was given away", i)
			}
		}
		if err := d.Shutdown(context.Background()); err != nil {
			t.Errorf("the second Shutdown: %v", err)
		}
	})
}

func TestShutdownReturnsThoughTheKernelTakesNothing(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.EBUSY, unix.ENXIO, 0} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
				f := newFake(t, 2)
				d, err := driver.NewScripted(driver.Config{Submit: mode}, f)
				if err != nil {
					t.Fatal(err)
				}
				var never func(*fakeKernel)
				entered := make(chan bool, 1)
				r := reply{consume: 0}
				if errno != 0 {
					r.err = errno
				}
				never = func(f *fakeKernel) {
					f.plan(reply{consume: r.consume, err: r.err, before: never})
					select {
					case entered <- true:
					default:
					}
				}
				f.plan(reply{consume: r.consume, err: r.err, before: never})
				var clients sync.WaitGroup
				for i := range 5 { // more than the queue takes
					clients.Go(func() { _ = d.Handle().RegisterOp(nop(uint64(i))) })
				}
				<-entered
				if errno != unix.ENXIO { // which fails them as soon as they are queued
					eventually(t, "a request is queued", func() bool { return d.Handle().Metrics().InFlight > 0 })
				}
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				defer cancel()
				returned := make(chan bool)
				go func() { err = d.Shutdown(ctx); close(returned) }()
				if !arrives(returned) {
					t.Fatal("Shutdown does not return")
				}
				clients.Wait()
				var left *driver.ShutdownError
				if errno != unix.ENXIO && (!errors.As(err, &left) || len(left.Stuck) == 0) {
					t.Errorf("Shutdown: %v, want the requests that nobody took", err)
				}
				if errno == unix.ENXIO && err != nil {
					t.Errorf("Shutdown: %v, though every request was refused", err)
				}
			})
		})
	}
}

func TestShutdownDuringStormLeavesNobodyBehind(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		for range scale(200) {
			stormOnce(t, mode)
		}
	})
}

// stormOnce shuts a driver down while goroutines register, hold, cancel and
// wait as fast as they can.
func stormOnce(t *testing.T, mode driver.SubmitMode) {
	needMode(t, mode)
	before := leaktest.Take()
	d, err := driver.New(driver.Config{Submit: mode, RingEntries: 8, Depth: 4})
	if err != nil {
		t.Fatal(err)
	}
	h := d.Handle()
	if ok, err := h.CheckAndInit(uring.OpRead); !ok {
		t.Fatal(err, h.Fallbacks())
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var registered, released, going atomic.Int64
	var clients sync.WaitGroup
	for kind := range 8 {
		clients.Go(func() {
			for i := 0; ; i++ {
				o := new(driver.Op)
				o.Hold = &hold{total: &released}
				var err error
				switch kind % 4 {
				case 0, 1:
					o.Entry.PrepNop()
					o.Paced = kind%4 == 1
					err = h.RegisterOp(o)
				case 2:
					err = h.RegisterOp(prepRead(o, fds[0], make([]byte, 8)))
				case 3:
					_, err = h.HoldOp(time.Millisecond, prepRead(o, fds[0], make([]byte, 8)))
					if err != nil {
						if !errors.Is(err, driver.ErrNoHold) && !errors.Is(err, driver.ErrShutdown) {
							t.Errorf("HoldOp: %v", err)
						}
						err = h.RegisterOp(o)
					}
				}
				registered.Add(1)
				if err != nil {
					if !errors.Is(err, driver.ErrShutdown) {
						t.Errorf("RegisterOp: %v", err)
					}
					return
				}
				going.Add(1)
				if kind%4 >= 2 && i%2 == 0 && h.CancelOp(o) {
					continue
				}
				if kind%4 >= 2 && i%2 == 1 {
					h.RequestCancel(o)
				}
				o.Wait()
				o.Result()
			}
		})
	}
	stop := make(chan bool)
	turner := make(chan bool)
	go func() {
		defer close(turner)
		for {
			select {
			case <-stop:
				return
			default:
				_ = d.ParkTimeout(time.Millisecond)
			}
		}
	}()
	eventually(t, "the storm is on", func() bool { return going.Load() > 50 })
	close(stop)
	<-turner
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	done := make(chan bool)
	go func() { clients.Wait(); close(done) }()
	if !arrives(done) {
		buf := make([]byte, 1<<20)
		t.Fatalf("somebody waits for ever: %+v\n%s", h.Metrics(), buf[:runtime.Stack(buf, true)])
	}
	unix.Close(fds[0])
	unix.Close(fds[1])
	if m := h.Metrics(); m.InFlight != 0 || m.Strays != 0 || released.Load() != registered.Load() {
		t.Errorf("%d of %d released; %+v", released.Load(), registered.Load(), m)
	}
	if left := before.Wait(leaktest.Grace); left != "" {
		t.Fatal(left)
	}
}

func TestShutdownIsNotKeptWaitingByBusyCallers(t *testing.T) {
	// Callers that never pause: there is always something to do before the
	// shutdown. The kernel answers at once.
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		var clients sync.WaitGroup
		var ending atomic.Bool
		for range 16 {
			clients.Go(func() {
				ops := make([]*driver.Op, 16)
				for i := range ops {
					ops[i] = nop(0)
					if r.RegisterOp(ops[i]) != nil {
						ops[i] = nil
					}
				}
				for i := 0; ; i++ {
					o := ops[i%len(ops)]
					if o == nil {
						if ending.Load() {
							return
						}
						continue
					}
					o.Wait()
					o.Result()
					if r.RegisterOp(o) != nil {
						ops[i%len(ops)] = nil
						ending.Store(true)
						for _, o := range ops {
							if o != nil && o.State() != driver.Idle {
								o.Wait()
								o.Result()
							}
						}
						return
					}
				}
			})
		}
		eventually(t, "they are at it", func() bool { return r.Metrics().Completed > 10_000 })
		if err := r.shutdown(); err != nil {
			t.Error(err)
		}
		clients.Wait()
	})
}

func TestShutdownEndsTheBacklog(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		f := newFake(t, 8)
		r := newFakeRig(t, driver.Config{Submit: mode, Depth: 2}, f)
		var ops []*driver.Op
		for i := range 10 {
			o := nop(uint64(i))
			o.Paced = true
			r.register(o)
			ops = append(ops, o)
		}
		f.userData(1)
		if err := r.shutdown(); err != nil {
			t.Fatal(err)
		}
		for _, o := range ops {
			wantResult(t, o, -int32(unix.ECANCELED))
		}
		if f.most != 2 {
			t.Errorf("the kernel had %d at once", f.most)
		}
	})
}

// To ask the kernel for a cancel can mean to reap, and what is reaped is its
// owner's again, who may be quick.
func TestShutdownForgetsARequestWhoseOpWasInAnotherShutdown(t *testing.T) {
	here, there := newFake(t, 1), newFake(t, 8)
	b, other := driver.NewBare(here, 8), driver.NewBare(there, 8)
	here.cqSize = 1
	o := admit(t, b, 3, nil)[0] // the third fills the queue
	here.plan(reply{err: unix.EBUSY, before: func(f *fakeKernel) {
		f.complete(1, 11, 0)
		f.complete(2, 22, 0) // does not fit
	}}, reply{consume: -1, before: func(*fakeKernel) {
		wantResult(t, o, 11)
		if err := other.Admit(o); err != nil {
			t.Error(err)
		}
	}})
	b.BeginClose()
	_ = other.Submit()
	there.userData(1)
	other.BeginClose()
	if there.cancels != 1 {
		t.Errorf("the kernel was asked for %d cancels of the Op's second request", there.cancels)
	}
	other.Dispatch()
	wantResult(t, o, -int32(unix.ECANCELED))
}
