package driver_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

// A request that was cut short waits to be submitted once more. The kernel has
// ended it, so whatever else it says under that name is about nobody: not an
// answer, and no reason to submit it twice.
func TestSecondAnswerEndsARequestThatWaitsToBeResubmitted(t *testing.T) {
	for name, second := range map[string]uring.CQE{
		"a result":      {Res: 5},
		"an error":      {Res: -int32(unix.EIO)},
		"more to come":  {Res: 5, Flags: uring.CQEFMore},
		"cut short too": {Res: -int32(unix.ECANCELED)},
	} {
		t.Run(name, func(t *testing.T) {
			k := newFake(t, 4)
			c := driver.NewBare(k, 4)
			var kept hold
			o := nop(1)
			o.Hold = &kept
			if err := c.Admit(o); err != nil {
				t.Fatal(err)
			}
			if err := c.Submit(); err != nil {
				t.Fatal(err)
			}
			second.UserData = k.userData(1)
			k.complete(1, -int32(unix.EINTR), 0)
			k.inject(second)
			c.Dispatch()
			if err := c.Submit(); err != nil {
				t.Fatal(err)
			}
			if m := c.Metrics(); o.State() != driver.Submitted || k.count() != 1 || m.Resubmitted != 1 || m.StaleCQEs != 1 {
				t.Errorf("the request is %v, the kernel has it %d times; %+v", o.State(), k.count(), m)
			}
			k.complete(1, 7, 0)
			c.Dispatch()
			if res, _ := o.Result(); res != 7 || kept.released.Load() != 1 || c.Len() != 0 {
				t.Errorf("result %d, released %d times, %d slots taken", res, kept.released.Load(), c.Len())
			}
		})
	}
}

// A request that was cut short while the queue was full has to be submitted as
// soon as there is room, not with whatever comes next.
func TestRequestThatWaitsForRoomIsForgotten(t *testing.T) {
	k := newFake(t, 1)
	c := driver.NewBare(k, 4)
	first, second := nop(1), nop(2)
	for _, o := range []*driver.Op{first, second} { // the queue has room for one
		if err := c.Admit(o); err != nil {
			t.Fatal(err)
		}
	}
	k.plan(reply{err: unix.EAGAIN, before: func(k *fakeKernel) { k.complete(1, -int32(unix.EINTR), 0) }})
	if err := c.Submit(); err != nil {
		t.Fatal(err)
	}
	if k.count() != 2 || c.Metrics().Resubmitted != 1 {
		t.Errorf("the kernel has %d of 2 requests; %+v", k.count(), c.Metrics())
	}
	k.complete(1, 1, 0)
	k.complete(2, 2, 0)
	c.Dispatch()
	for i, o := range []*driver.Op{first, second} {
		if res, _ := o.Result(); res != int32(i)+1 {
			t.Errorf("request %d: %d", i+1, res)
		}
	}
}

// A kernel that may make no more threads (RLIMIT_NPROC) cancels what needs one,
// at once and each time.
func TestRequestThatIsAlwaysCancelledIsResubmittedForEver(t *testing.T) {
	f := newFake(t, 8)
	b := driver.NewBare(f, 8)
	o := nop(1)
	for life := range 2 { // the second has as many attempts
		if err := b.Admit(o); err != nil {
			t.Fatal(err)
		}
		tries := 0
		for o.State() == driver.Submitted && tries < 1000 {
			_ = b.Submit()
			f.complete(1, -int32(unix.ECANCELED), 0)
			b.Dispatch()
			tries++
		}
		wantResult(t, o, -int32(unix.EAGAIN))
		if m := b.Metrics(); tries != 65 || m.Resubmitted != uint64(64*(life+1)) || b.Len() != 0 {
			t.Errorf("given up after %d attempts; %+v", tries, m)
		}
	}
}
