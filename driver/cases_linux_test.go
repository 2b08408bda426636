package driver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/uring"
)

// A wish to cancel reaches the submit thread when its target has completed and
// another request has the slot.
func TestLateCancelHitsTheNextOwner(t *testing.T) {
	f := newFake(t, 8)
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	target, heir, trigger := nop(1), nop(2), nop(3)
	r.register(target)
	old := f.userData(1)
	f.plan(reply{consume: -1, before: func(f *fakeKernel) {
		// The thread is in the kernel. What happens now it finds all at once:
		// a completion, a request that takes over the slot, the late wish.
		f.complete(1, 11, 0)
		r.register(heir)
		r.RequestCancel(target)
	}})
	r.register(trigger)
	if res := r.result(target); res != 11 {
		t.Errorf("the target: %d", res)
	}
	heirs := f.userData(2)
	if heirs == old || heirs&0xffffff != old&0xffffff {
		t.Fatalf("the slot is %#x, then %#x: no reuse, nothing was tested", old, heirs)
	}
	f.complete(3, 33, 0)
	if res := r.result(trigger); res != 33 {
		t.Errorf("the third: %d", res)
	}
	f.mu.Lock()
	cancels := f.cancels
	f.mu.Unlock()
	if s := heir.State(); cancels != 0 || s != driver.Submitted {
		t.Errorf("%d cancels have reached the kernel; the next owner is %v", cancels, s)
	}
	f.complete(2, 22, 0)
	if res := r.result(heir); res != 22 {
		t.Errorf("the next owner: %d", res)
	}
}

// The poll through which callers wake the submit thread is multishot, and the
// kernel may end it at any time: a completion without F_MORE.
func TestWakePollThatEndedLosesRequests(t *testing.T) {
	f := newFake(t, 8)
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	for round := range uint64(20) {
		f.mu.Lock()
		f.wakefd = -1 // it polls no more, until it is asked again
		f.post(uring.CQE{UserData: f.wakeTag, Res: -int32(unix.ECANCELED)})
		f.mu.Unlock()
		eventually(t, "the poll is armed again", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.wakefd >= 0
		})
		o := nop(round + 1)
		r.register(o)
		f.userData(round + 1)
		f.complete(round+1, int32(round), 0)
		if res := r.result(o); res != int32(round) {
			t.Errorf("round %d: %d", round, res)
		}
	}
}

// A kernel that has forgotten requests is reminded, again and again while they stay
// in flight, unless it has not answered that; but not of those that come and go.
func TestForgottenRequestsWaitForEver(t *testing.T) {
	f := newFake(t, 8)
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	reminders := func() []uring.SQE {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.rouses
	}
	begin, longest := time.Now(), time.Duration(0)
	for id := uint64(1); time.Since(begin) < 2500*time.Millisecond; id++ {
		o, start := nop(id), time.Now()
		r.register(o)
		f.userData(id)
		time.Sleep(50 * time.Millisecond)
		f.complete(id, 0, 0)
		r.result(o)
		longest = max(longest, time.Since(start))
	}
	if n := len(reminders()); n != 0 && longest < time.Second {
		t.Errorf("the kernel was reminded %d times of requests of at most %v", n, longest)
	}

	var forgotten []*driver.Op
	forget := func(fds ...int32) {
		for _, fd := range fds {
			o := nop(1<<20 + uint64(len(forgotten)))
			o.Entry.Fd = fd
			forgotten = append(forgotten, o)
			r.register(o)
			f.userData(o.Entry.Off)
		}
	}
	remindedOf := func(want ...int32) {
		t.Helper()
		eventually(t, fmt.Sprint("the kernel is reminded of the files ", want), func() bool { return len(reminders()) >= len(want) })
		time.Sleep(2200 * time.Millisecond) // it does not answer
		var fds []int32
		for _, sqe := range reminders() {
			fds = append(fds, sqe.Fd)
		}
		if slices.Sort(fds); !slices.Equal(fds, want) {
			t.Errorf("the kernel was reminded of the files %d, want %d", fds, want)
		}
	}
	forget(-1, 1<<30)
	remindedOf(-1, 1<<30)
	forget(1<<30+1, 1<<30+2, 1<<30+3)
	f.answerRouses()
	remindedOf(-1, 1<<30) // the others are new
	f.answerRouses()
	remindedOf(-1, 1<<30, 1<<30+1, 1<<30+2)

	f.answerRouses()
	for i, o := range forgotten {
		f.complete(1<<20+uint64(i), 0, 0)
		r.result(o)
	}
	n := len(reminders())
	time.Sleep(1100 * time.Millisecond)
	if m := len(reminders()); m > n {
		t.Errorf("with nothing in flight the kernel was reminded %d times", m-n)
	}
}

// Reads that wait for writes fill every queue there is; the writes must get
// through all the same.
func TestReadsThatFillTheRingKeepOutTheirWrites(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		const n = 300
		r := newRig(t, driver.Config{Submit: mode, RingEntries: 4, Depth: 1})
		from, to := pipe(t)
		var reads, writes [n]driver.Op
		var got [n][1]byte
		for i := range reads {
			r.register(prepRead(&reads[i], from, got[i][:]))
		}
		for i := range writes {
			p := []byte{byte(i)}
			writes[i].Entry.PrepWrite(to, p, uring.CurrentPosition)
			writes[i].OwnBytes(p)
			r.register(&writes[i])
		}
		var sent, received [256]int
		for i := range n {
			if res := r.result(&writes[i]); res != 1 {
				t.Fatalf("write %d: %d", i, res)
			}
			if res := r.result(&reads[i]); res != 1 {
				t.Fatalf("read %d: %d", i, res)
			}
			sent[byte(i)]++
			received[got[i][0]]++
		}
		if sent != received {
			t.Error("other bytes were read than written")
		}
	})
}

// What the kernel has lost may be the completion that ended the poll through
// which callers wake the submit thread.
func TestLossOfTheWakePollsEndLosesRequests(t *testing.T) {
	f := newFake(t, 8)
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	defer func() {
		if t.Failed() { // or its end would wait as well
			f.inject(uring.CQE{UserData: driver.TagWake})
		}
	}()
	first, second := nop(1), nop(2)
	r.register(first)
	f.userData(1)
	f.plan(reply{consume: -1}, reply{err: unix.EBADR, before: func(f *fakeKernel) {
		f.mu.Lock()
		f.wakefd = -1 // it polls no more, and that is all anybody hears of it
		f.mu.Unlock()
	}})
	r.register(second)
	for _, o := range []*driver.Op{first, second} {
		if res := r.result(o); res != -int32(unix.EBADR) {
			t.Errorf("%s: %d", o.Name, res)
		}
	}
	eventually(t, "the poll is armed again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.wakefd >= 0
	})
	third := nop(3)
	r.register(third)
	f.userData(3)
	f.complete(3, 33, 0)
	if res := r.result(third); res != 33 {
		t.Errorf("the third: %d", res)
	}
	for name := range uint64(2) { // they were not lost after all
		f.complete(name+1, 0, 0)
	}
	eventually(t, "everything is back", func() bool { return r.Metrics().InFlight == 0 })
}

// A completion that has not fitted into the queue is not announced again: if the
// call that fetches it fails there may be no other.
func TestOverflowThatIsNotFlushedAtOnceStaysInTheKernel(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EINTR, unix.EBUSY, unix.EAGAIN} {
		f := newFake(t, 8)
		f.cqSize = 1
		b := driver.NewBare(f, 8)
		ops := admit(t, b, 2, nil)
		_ = b.Submit()
		f.complete(1, 1, 0)
		f.complete(2, 2, 0)
		fail := reply{err: errno, before: func(f *fakeKernel) { f.cqSize = 0 }}
		f.plan(fail, fail, fail, reply{consume: -1, before: func(f *fakeKernel) { f.cqSize = 1 }})
		b.Dispatch()
		wantResult(t, ops[0], 1)
		wantResult(t, ops[1], 2)
	}
}

// Nobody waits for what is lost; who counts it twice waits for what is not.
func TestSecondLossCountsTheFirstOnesAnew(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	var released atomic.Int64
	first := admit(t, b, 1, &released)[0]
	f.plan(reply{consume: -1}, reply{err: unix.EBADR})
	_ = b.Submit()
	_ = b.Wait(time.Millisecond)
	wantResult(t, first, -int32(unix.EBADR))
	second := nop(2)
	if err := b.Admit(second); err != nil {
		t.Fatal(err)
	}
	f.plan(reply{consume: -1}, reply{err: unix.EBADR})
	_ = b.Submit()
	_ = b.Wait(time.Millisecond)
	wantResult(t, second, -int32(unix.EBADR))
	if m := b.Metrics(); !b.Drained() || b.Len() != 2 || m.Lost != 2 || m.Completed != 2 || m.Cancelled != 0 {
		t.Errorf("there is more to wait for: %v; %d slots; %+v", !b.Drained(), b.Len(), m)
	}
	f.complete(1, 0, 0)
	f.complete(2, 0, 0)
	b.Dispatch()
	if !b.Drained() || b.Len() != 0 || released.Load() != 1 {
		t.Errorf("there is more to wait for: %v; %d slots, %d released", !b.Drained(), b.Len(), released.Load())
	}
}

func init() {
	children["no enter"] = noEnter
}

// A sandbox that comes late forbids io_uring_enter(2). Then the submit thread
// cannot sleep in the kernel; it must not go round and round instead.
func TestSubmitThreadSpinsWhereItMayNotEnter(t *testing.T) {
	needMode(t, driver.SubmitThread)
	runChild(t, "no enter")
}

// confined is a driver with reads of pipes in flight and a submit thread that sleeps
// in the kernel, and may not enter it again.
func confined(reads int) (d *driver.Driver, ops []*driver.Op, ends []int, err error) {
	if d, err = driver.New(driver.Config{Submit: driver.SubmitThread}); err != nil {
		return nil, nil, nil, err
	}
	h := d.Handle()
	if ok, err := h.CheckAndInit(uring.OpNop); !ok || err != nil {
		return nil, nil, nil, fmt.Errorf("no ring: %v, %w, %+v", ok, err, h.Fallbacks())
	}
	for range reads {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return nil, nil, nil, err
		}
		o := prepRead(new(driver.Op), fds[0], make([]byte, 1))
		if err := h.RegisterOp(o); err != nil {
			return nil, nil, nil, err
		}
		ops, ends = append(ops, o), append(ends, fds[1])
	}
	// The thread has passed them on, and sleeps in the kernel, or it will find
	// out sooner.
	for h.Metrics().Submitted < uint64(1+reads) || h.Metrics().Enters < 3 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	return d, ops, ends, seccomptest.Deny(syscall.EPERM, unix.SYS_IO_URING_ENTER)
}

func noEnter() error {
	d, ops, ends, err := confined(1)
	if err != nil {
		return err
	}
	h, o := d.Handle(), ops[0]
	if _, err := unix.Write(ends[0], []byte{1}); err != nil { // ends that sleep
		return err
	}
	if o.Park() && !arrives(o.Done()) {
		return errors.New("the read was never completed")
	}
	if res, _ := o.Result(); res != 1 {
		return fmt.Errorf("result %d", res)
	}
	began, before := time.Now(), h.Metrics().Enters
	time.Sleep(200 * time.Millisecond)
	entered, most := h.Metrics().Enters-before, 3*uint64(time.Since(began)/time.Millisecond)
	if entered > most {
		return fmt.Errorf("the kernel was asked %d times, want %d at most", entered, most)
	}
	if entered == 0 {
		return errors.New("the thread does not look again: nothing was tested")
	}
	return nil
}

func init() {
	children["no enter in flight"] = noEnterInFlight
}

// What is in flight when a sandbox forbids to enter the kernel cannot be heard of
// any more. It must not be waited for.
func TestSandboxThatComesLateHangsRequests(t *testing.T) {
	needMode(t, driver.SubmitThread)
	runChild(t, "no enter in flight")
}

func noEnterInFlight() error {
	d, ops, ends, err := confined(2)
	if err != nil {
		return err
	}
	for i, o := range ops { // the first ends that sleep, and there is no other
		if _, err := unix.Write(ends[i], []byte{1}); err != nil {
			return err
		}
		if o.Park() && !arrives(o.Done()) {
			return fmt.Errorf("read %d was never completed", i)
		}
		time.Sleep(20 * time.Millisecond) // it has found out
	}
	if res, _ := ops[0].Result(); res != 1 {
		return fmt.Errorf("result %d of what had ended by then", res)
	}
	if res, _ := ops[1].Result(); res != -int32(unix.EBADR) {
		return fmt.Errorf("result %d, want that of ErrLost", res)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var stuck *driver.ShutdownError
	if err := d.Shutdown(ctx); !errors.As(err, &stuck) || len(stuck.Stuck) != 1 {
		return fmt.Errorf("Shutdown does not name what the kernel has: %w", err)
	}
	return nil
}

// The same during a shutdown that has something to wait for.
func TestShutdownSpinsWhereItMayNotEnter(t *testing.T) {
	leaktest.Check(t)
	f := newFake(t, 8)
	f.deaf = true
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	o := nop(1)
	r.register(o)
	f.userData(1)
	time.Sleep(20 * time.Millisecond) // it sleeps in the kernel
	// The request to cancel it goes through, and the pause that follows.
	f.plan(reply{consume: -1}, reply{consume: -1})
	f.plan(slices.Repeat([]reply{{err: unix.EPERM}}, 100_000)...)
	before := r.Metrics().Enters
	r.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	var stuck *driver.ShutdownError
	if err := r.driver.Shutdown(ctx); !errors.As(err, &stuck) || len(stuck.Stuck) != 1 {
		t.Errorf("Shutdown: %v", err)
	}
	if n, most := r.Metrics().Enters-before, 3*uint64(time.Since(began)/time.Millisecond); n > most {
		t.Errorf("the kernel was asked %d times, want %d at most", n, most)
	}
}
