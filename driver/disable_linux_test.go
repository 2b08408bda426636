package driver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// switchedOff checks that the fallback is there, once.
func switchedOff(t *testing.T, h *driver.Handle) {
	t.Helper()
	rings := 0
	for _, f := range h.Fallbacks() {
		if f.Wanted == "io_uring" {
			rings++
			if f.Reason != probe.ReasonForced || len(f.Evidence) == 0 || f.Err != nil {
				t.Errorf("%+v", f)
			}
		}
	}
	if rings != 1 {
		t.Errorf("%d fallbacks of io_uring: %+v", rings, h.Fallbacks())
	}
}

func TestDisableRingDropsWhatIsInFlight(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		from, to := pipe(t)
		var kept hold
		p := make([]byte, 5)
		o := prepRead(&driver.Op{Name: "pipe", Hold: &kept}, from, p)
		r.register(o)
		eventually(t, "the kernel has the read", func() bool { return r.Metrics().InFlight == 1 && r.Metrics().Submitted > 0 })
		r.DisableRing()
		r.DisableRing()
		switchedOff(t, r.Handle)
		if s := o.State(); s != driver.Submitted || kept.released.Load() != 0 {
			t.Errorf("at the switch the request became %v, released %d times", s, kept.released.Load())
		}
		write(t, to, []byte("hello"))
		if res := r.result(o); res != 5 || string(p) != "hello" {
			t.Errorf("%d, %q", res, p)
		}
	})
}

func TestDisableRingLeavesNobodyToCancelWhatNeverEnds(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		from, _ := pipe(t)
		o := prepRead(&driver.Op{Name: "pipe"}, from, make([]byte, 5))
		r.register(o)
		eventually(t, "the kernel has the read", func() bool { return r.Metrics().InFlight == 1 && r.Metrics().Submitted > 0 })
		r.DisableRing()
		if !r.CancelOp(o) {
			t.Error("the pipe is empty, and the read has completed")
		}
		eventually(t, "the kernel gives it back", func() bool { return r.Metrics().InFlight == 0 })
	})
}

// A ring that is there is not to be used any more either: not one request may
// reach the kernel after DisableRing has returned.
func TestDisableRingLetsRequestsOntoTheRingThereIs(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode, Holds: 1})
		if res := r.do(nop(1)); res != 0 {
			t.Fatal(res)
		}
		o := nop(2)
		if done, err := r.HoldOp(time.Second, o); !done || err != nil {
			t.Fatalf("HoldOp: %v, %v", done, err)
		}
		r.result(o)
		before := r.Metrics()
		r.DisableRing()
		if ok, err := r.CheckAndInit(uring.OpNop); ok || err != nil {
			t.Errorf("CheckAndInit: %v, %v", ok, err)
		}
		var kept hold
		o = nop(3)
		o.Hold = &kept
		if err := r.RegisterOp(o); !errors.Is(err, driver.ErrNoRing) || kept.released.Load() != 1 {
			t.Errorf("RegisterOp: %v, released %d times", err, kept.released.Load())
		}
		o = nop(4)
		if done, err := r.HoldOp(time.Second, o); done || !errors.Is(err, driver.ErrNoRing) || o.State() != driver.Idle {
			t.Errorf("HoldOp: %v, %v, the request is %v", done, err, o.State())
		}
		if after := r.Metrics(); after.Submitted != before.Submitted || after.Completed != before.Completed {
			t.Errorf("requests reached the kernel: %+v, then %+v", before, after)
		}
		if r.State() != driver.StateInitialized || !r.Supports(uring.OpNop) {
			t.Error("the ring is gone, with what may be in flight on it")
		}
	})
}

func TestDisableRingBeforeItsFirstUseMakesOne(t *testing.T) {
	leaktest.Check(t)
	d, err := driver.New(driver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := turned(t, d)
	r.DisableRing()
	if ok, err := r.CheckAndInit(uring.OpRead); ok || err != nil || r.State() != driver.StateUnsupported {
		t.Errorf("%v, %v, %v", ok, err, r.State())
	}
	if err := r.RegisterOp(nop(1)); err != driver.ErrNoRing { //nolint:errorlint // bare
		t.Errorf("RegisterOp: %v", err)
	}
	switchedOff(t, r.Handle)
}

// What was found out before is the better reason.
func TestDisableRingReplacesTheReason(t *testing.T) {
	leaktest.Check(t)
	d, err := driver.New(driver.Config{NoRing: true})
	if err != nil {
		t.Fatal(err)
	}
	r := turned(t, d)
	before := r.Fallbacks()
	r.DisableRing()
	after := r.Fallbacks()
	if len(before) != 1 || len(after) != 1 || before[0].Evidence[0] != after[0].Evidence[0] {
		t.Errorf("%+v, then %+v", before, after)
	}
}
