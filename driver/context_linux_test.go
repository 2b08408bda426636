package driver_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

// admit registers requests named 1 to n on the bare context.
func admit(t *testing.T, b *driver.Bare, n int, released *atomic.Int64) []*driver.Op {
	t.Helper()
	ops := make([]*driver.Op, n)
	for i := range ops {
		ops[i] = nop(uint64(i + 1))
		if released != nil {
			ops[i].Hold = &hold{total: released}
		}
		if err := b.Admit(ops[i]); err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
	}
	return ops
}

func wantResult(t *testing.T, o *driver.Op, want int32) {
	t.Helper()
	if o.State() != driver.Completed {
		t.Errorf("%s is %v", o.Name, o.State())
		return
	}
	if res, _ := o.Result(); res != want {
		t.Errorf("%s: result %d, want %d", o.Name, res, want)
	}
}

func TestInterruptedSubmitIsRepeated(t *testing.T) {
	f := newFake(t, 8)
	f.prompt = true
	f.plan(reply{err: unix.EINTR}, reply{err: unix.EINTR})
	b := driver.NewBare(f, 8)
	ops := admit(t, b, 3, nil)
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	b.Dispatch()
	for _, o := range ops {
		wantResult(t, o, 0)
	}
	if f.enters != 3 {
		t.Errorf("%d enters, want 3", f.enters)
	}
	if m := b.Metrics(); m.Rejected != 0 || m.Submitted != 3 {
		t.Errorf("%+v", m)
	}
}

func TestBusyKernelIsReapedThenAskedAgain(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.EBUSY} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			f := newFake(t, 8)
			b := driver.NewBare(f, 8)
			first := nop(100)
			if err := b.Admit(first); err != nil {
				t.Fatal(err)
			}
			if err := b.Submit(); err != nil {
				t.Fatal(err)
			}
			f.complete(100, 7, 0)
			f.plan(reply{err: errno}, reply{err: errno, before: func(f *fakeKernel) {
				if f.Completions() != 0 {
					t.Error("asked again without reaping first")
				}
			}})
			ops := admit(t, b, 2, nil)
			if err := b.Submit(); err != nil {
				t.Fatal(err)
			}
			wantResult(t, first, 7)
			f.complete(1, 1, 0)
			f.complete(2, 2, 0)
			b.Dispatch()
			wantResult(t, ops[0], 1)
			wantResult(t, ops[1], 2)
			if m := b.Metrics(); m.Busy != 2 || m.Rejected != 0 {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestShortCountIsNotTheWhole(t *testing.T) {
	f := newFake(t, 8)
	f.prompt = true
	f.plan(reply{consume: 1}, reply{consume: 0}, reply{consume: 2})
	b := driver.NewBare(f, 8)
	ops := admit(t, b, 5, nil)
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	b.Dispatch()
	for _, o := range ops {
		wantResult(t, o, 0)
	}
	if got := f.seen(); !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("the kernel took %v", got)
	}
}

func TestRefusedSubmitFailsOnlyTheOldest(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	var released atomic.Int64
	ops := make([]*driver.Op, 3)
	for i := range ops {
		ops[i] = nop(uint64(i + 1))
		ops[i].Hold = &hold{total: &released}
		ops[i].Entry.Flags = uring.SQEAsync
		if err := b.Admit(ops[i]); err != nil {
			t.Fatal(err)
		}
	}
	f.plan(reply{err: unix.EINVAL}, reply{consume: -1, before: func(f *fakeKernel) {
		// The entry is neutral before its memory can have been released.
		if sqe := f.queue[0]; sqe.UserData&driver.TagMask != driver.TagVoid || sqe.Opcode != uring.OpNop || sqe.Flags != 0 || sqe.Addr != 0 {
			t.Errorf("the refused entry is still %+v", *sqe)
		}
	}})
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	wantResult(t, ops[0], -int32(unix.EINVAL))
	if got := released.Load(); got != 1 {
		t.Errorf("%d released, want that of the refused one", got)
	}
	if f.voided != 1 {
		t.Errorf("%d void entries have run, want 1", f.voided)
	}
	f.complete(2, 0, 0)
	f.complete(3, 0, 0)
	b.Dispatch()
	wantResult(t, ops[1], 0)
	wantResult(t, ops[2], 0)
	if m := b.Metrics(); m.Rejected != 1 || m.InFlight != 0 || b.Len() != 0 {
		t.Errorf("%d slots; %+v", b.Len(), m)
	}
}

func TestRingThatRefusesEverythingEndsEveryRequest(t *testing.T) {
	f := newFake(t, 4)
	b := driver.NewBare(f, 8)
	for range 10000 {
		f.script = append(f.script, reply{err: unix.ENXIO})
	}
	var ops []*driver.Op
	for i := range 3 {
		o := nop(uint64(i))
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		ops = append(ops, o)
	}
	if err := b.Submit(); !errors.Is(err, unix.ENXIO) {
		t.Errorf("Submit: %v, want ENXIO", err)
	}
	for _, o := range ops {
		wantResult(t, o, -int32(unix.ENXIO))
	}
	if f.enters > 100 {
		t.Errorf("%d enters of a ring that refuses everything", f.enters)
	}
}

func TestLostCompletionKeepsMemoryWithTheKernel(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 2)
	var released atomic.Int64
	var ops []*driver.Op
	for i := range 3 {
		o := nop(uint64(i + 1))
		o.Paced = true
		o.Hold = &hold{total: &released}
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		ops = append(ops, o)
	}
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	f.plan(reply{err: unix.EBADR})
	if err := b.Wait(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	wantResult(t, ops[0], -int32(unix.EBADR))
	wantResult(t, ops[1], -int32(unix.EBADR))
	if got := released.Load(); got != 0 {
		t.Errorf("%d resources released though the kernel may still be at it", got)
	}
	if m := b.Metrics(); m.Lost != 1 || m.Rejected != 0 || m.Completed != 2 {
		t.Errorf("%+v", m)
	}
	// What was lost counts no more against the depth: the third must go on.
	b.Dispatch()
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	if f.count() != 3 {
		t.Fatalf("the kernel has %d requests: those behind lost ones wait for ever", f.count())
	}
	f.complete(3, 3, 0)
	// One was not lost after all, and it is never resubmitted.
	f.complete(1, -int32(unix.ECANCELED), 0)
	b.Dispatch()
	wantResult(t, ops[2], 3)
	if got := released.Load(); got != 2 {
		t.Errorf("%d released, want those of the third and of the late one", got)
	}
}

func TestLateDescriptorOfLostRequestIsClosed(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	o := nop(1)
	o.YieldsFd = true
	if err := b.Admit(o); err != nil {
		t.Fatal(err)
	}
	f.plan(reply{consume: -1}, reply{err: unix.EBADR})
	_ = b.Submit()
	_ = b.Wait(time.Millisecond)
	wantResult(t, o, -int32(unix.EBADR))
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.complete(1, int32(fd), 0)
	b.Dispatch()
	if b.Metrics().Disposed != 1 {
		unix.Close(fd)
		t.Error("the descriptor has leaked")
	}
}

func TestLossReportedDuringOverflowFlushIsNotForgotten(t *testing.T) {
	f := newFake(t, 8)
	f.cqSize = 1
	b := driver.NewBare(f, 8)
	ops := admit(t, b, 3, nil)
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	f.complete(1, 0, 0)
	f.complete(2, 0, 0)
	// The third completion is the lost one; the kernel says so once.
	f.plan(reply{err: unix.EBADR})
	b.Dispatch()
	wantResult(t, ops[0], 0)
	wantResult(t, ops[1], 0)
	wantResult(t, ops[2], -int32(unix.EBADR))
	if b.Metrics().Lost != 1 {
		t.Error("EBADR was not counted")
	}
}

func TestUnaskedCancellationIsResubmitted(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ECANCELED, unix.EINTR} {
		f := newFake(t, 8)
		b := driver.NewBare(f, 8)
		ops := admit(t, b, 1, nil)
		for range 3 {
			_ = b.Submit()
			f.complete(1, -int32(errno), 0)
			b.Dispatch()
		}
		_ = b.Submit()
		f.complete(1, 5, 0)
		b.Dispatch()
		wantResult(t, ops[0], 5)
		if m := b.Metrics(); m.Resubmitted != 3 || m.Submitted != 4 || m.Completed != 1 {
			t.Errorf("%v: %+v", errno, m)
		}
	}
}

func TestCancelBetweenCancellationAndResubmissionIsHeeded(t *testing.T) {
	// The queue is full when the completion comes, so the request has to wait
	// for its resubmission; its owner leaves meanwhile.
	for _, leave := range []string{"CancelOp", "RequestCancel"} {
		t.Run(leave, func(t *testing.T) {
			f := newFake(t, 1)
			b := driver.NewBare(f, 8)
			var released atomic.Int64
			o := nop(1)
			o.Hold = &hold{total: &released}
			if err := b.Admit(o); err != nil {
				t.Fatal(err)
			}
			_ = b.Submit()
			f.complete(1, -int32(unix.ECANCELED), 0)
			other := nop(2)
			if err := b.Admit(other); err != nil { // fills the queue
				t.Fatal(err)
			}
			b.Dispatch()
			if leave == "CancelOp" {
				if !b.GiveUp(o) {
					t.Fatal("not to be given up")
				}
			} else {
				b.Ask(o)
			}
			if err := b.Cancel(o); err != nil {
				t.Fatal(err)
			}
			_ = b.Submit()
			b.Dispatch()
			_ = b.Submit()
			b.Dispatch()
			if got := f.seen(); !slices.Equal(got, []uint64{1, 2}) {
				t.Fatalf("the kernel took %v: what was given up runs again, for ever", got)
			}
			if leave == "RequestCancel" {
				wantResult(t, o, -int32(unix.ECANCELED))
			}
			if released.Load() != 1 {
				t.Error("its resource was not released")
			}
			f.complete(2, 0, 0)
			b.Dispatch()
			wantResult(t, other, 0)
		})
	}
}

func TestStaleCQENeverReachesNextOwner(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	first := admit(t, b, 1, nil)[0]
	_ = b.Submit()
	key := f.userData(1)
	f.complete(1, 1, 0)
	b.Dispatch()
	wantResult(t, first, 1)

	next := nop(2)
	if err := b.Admit(next); err != nil {
		t.Fatal(err)
	}
	_ = b.Submit()
	if slot := f.userData(2) & (1<<24 - 1); slot != key&(1<<24-1) {
		t.Fatalf("the slot was not used again: %#x, %#x", slot, key)
	}
	f.inject(uring.CQE{UserData: key, Res: 99})
	f.inject(uring.CQE{UserData: key, Res: 98, Flags: uring.CQEFMore})
	b.Dispatch()
	if next.State() != driver.Submitted {
		t.Errorf("the next owner is %v", next.State())
	}
	if got := b.Metrics().StaleCQEs; got != 2 {
		t.Errorf("%d stale completions counted, want 2", got)
	}
	f.complete(2, 2, 0)
	b.Dispatch()
	wantResult(t, next, 2)
}

func TestCancelResultDecidesNothing(t *testing.T) {
	for _, said := range []int32{0, -int32(unix.ENOENT), -int32(unix.EALREADY)} {
		f := newFake(t, 8)
		f.deaf = true
		b := driver.NewBare(f, 8)
		var released atomic.Int64
		o := admit(t, b, 1, &released)[0]
		_ = b.Submit()
		key := f.userData(1)
		b.GiveUp(o)
		_ = b.Cancel(o)
		_ = b.Submit()
		f.inject(uring.CQE{UserData: driver.TagCancel | key, Res: said})
		b.Dispatch()
		if released.Load() != 0 || b.Len() != 1 {
			t.Errorf("cancel said %d and the memory was released", said)
		}
		f.complete(1, 0, 0)
		b.Dispatch()
		if released.Load() != 1 || b.Len() != 0 {
			t.Error("not released by its own completion")
		}
	}
}

func TestMemoryIsKeptUntilTheNotification(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	var released atomic.Int64
	ops := admit(t, b, 2, &released)
	_ = b.Submit()
	for _, name := range []uint64{1, 2} {
		f.complete(name, 4096, uring.CQEFMore)
	}
	b.Dispatch()
	if ops[0].State() != driver.Submitted {
		t.Errorf("completed by a completion that announces another one")
	}
	if !b.GiveUp(ops[1]) {
		t.Fatal("not to be given up")
	}
	b.Dispatch()
	if released.Load() != 0 || b.Len() != 2 {
		t.Errorf("%d released before the notification", released.Load())
	}
	for _, name := range []uint64{1, 2} {
		f.complete(name, 0, uring.CQEFNotif)
	}
	b.Dispatch()
	wantResult(t, ops[0], 4096)
	if released.Load() != 2 || b.Len() != 0 {
		t.Errorf("%d released, %d slots", released.Load(), b.Len())
	}
}

func TestOverflowedCompletionsAreFetched(t *testing.T) {
	f := newFake(t, 64)
	f.cqSize = 4
	f.prompt = true
	b := driver.NewBare(f, 64)
	ops := admit(t, b, 50, nil)
	if err := b.Submit(); err != nil {
		t.Fatal(err)
	}
	b.Dispatch()
	for _, o := range ops {
		wantResult(t, o, 0)
	}
	if b.Metrics().Overflows == 0 {
		t.Error("no overflow was counted")
	}
}

func TestTimedRequestIsStampedOnlyWhileItIsTheDrivers(t *testing.T) {
	// The flush of an overflow submits as well. A request that it passes on is
	// complete before the next ordinary submission, which must not touch it.
	f := newFake(t, 64)
	f.cqSize = 1
	b := driver.NewBare(f, 64)
	first := admit(t, b, 2, nil)
	_ = b.Submit()
	f.complete(1, 0, 0)
	f.complete(2, 0, 0)
	timed := nop(9)
	timed.Timed = true
	if err := b.Admit(timed); err != nil {
		t.Fatal(err)
	}
	f.plan(reply{consume: -1, before: func(f *fakeKernel) { time.Sleep(2 * time.Millisecond) }})
	b.Dispatch()
	wantResult(t, first[0], 0)
	wantResult(t, first[1], 0)
	f.complete(9, 0, 0)
	b.Dispatch()
	added, whole := timed.Delay()
	if added < 0 || added > whole {
		t.Errorf("added %v of %v", added, whole)
	}
	wantResult(t, timed, 0)
	before := whole
	time.Sleep(20 * time.Millisecond)
	if err := b.Admit(nop(10)); err != nil {
		t.Fatal(err)
	}
	_ = b.Submit()
	// Nothing of the driver's refers to it any more.
	if added, _ := timed.Delay(); added > before+100*time.Millisecond {
		t.Errorf("a request that was given back was stamped: %v", added)
	}
	f.complete(10, 0, 0)
	b.Dispatch()
}

func TestPacedRequestsKeepTheirOrderAndDepth(t *testing.T) {
	const depth, n = 4, 40
	f := newFake(t, 2) // smaller than the depth: flushes in between
	b := driver.NewBare(f, depth)
	var ops []*driver.Op
	for i := range n {
		o := nop(uint64(i))
		o.Paced = true
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		ops = append(ops, o)
	}
	// The kernel says EBUSY now and then, in the middle of a promotion.
	for i := range n {
		f.plan(reply{err: unix.EBUSY, before: func(f *fakeKernel) {}}, reply{consume: -1})
		_ = b.Submit()
		f.complete(uint64(i), 0, 0)
		b.Dispatch()
	}
	want := make([]uint64, n)
	for i := range want {
		want[i] = uint64(i)
	}
	if got := f.seen(); !slices.Equal(got, want) {
		t.Errorf("the kernel took %v", got)
	}
	if f.most > depth {
		t.Errorf("the kernel had %d at once, the depth is %d", f.most, depth)
	}
	for _, o := range ops {
		wantResult(t, o, 0)
	}
}

func TestPromotionInterruptedByCompletionsKeepsOrderAndDepth(t *testing.T) {
	// While requests are promoted the queue is full, the kernel busy, and what
	// is reaped for that makes room for more promotions.
	const depth, n = 3, 12
	f := newFake(t, 1)
	b := driver.NewBare(f, depth)
	for i := range n {
		o := nop(uint64(i))
		o.Paced = true
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
	}
	_ = b.Submit()
	next := uint64(0)
	finishOne := func(f *fakeKernel) {
		f.mu.Lock()
		has := len(f.has) > 0 && f.has[0].Off == next
		f.mu.Unlock()
		if has {
			f.complete(next, 0, 0)
			next++
		}
	}
	for range 10 * n {
		finishOne(f)
		finishOne(f)
		f.plan(reply{err: unix.EBUSY, before: finishOne}, reply{err: unix.EAGAIN, before: finishOne}, reply{consume: -1})
		b.Dispatch()
		_ = b.Submit()
	}
	if next != n {
		t.Fatalf("%d of %d done", next, n)
	}
	if got := f.seen(); !slices.IsSorted(got) || len(got) != n {
		t.Errorf("the kernel took %v", got)
	}
	if f.most > depth {
		t.Errorf("the kernel had %d at once, the depth is %d", f.most, depth)
	}
}

func TestRefusedPacedRequestDoesNotLetOthersOvertake(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 1)
	mk := func(i uint64) *driver.Op {
		o := nop(i)
		o.Paced = true
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	first, second := mk(1), mk(2)
	if !b.Reject(unix.EINVAL) {
		t.Fatal("nothing to reject")
	}
	third := mk(3)
	b.Dispatch()
	for i := uint64(2); i <= 3; i++ {
		_ = b.Submit()
		f.complete(i, 0, 0)
		b.Dispatch()
	}
	wantResult(t, first, -int32(unix.EINVAL))
	wantResult(t, second, 0)
	wantResult(t, third, 0)
	if got := f.seen(); !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("the kernel took %v", got)
	}
}
