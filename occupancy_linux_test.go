package eddy

import (
	"runtime"
	"testing"
	"time"
)

// spender is a process that spends a share of its processors outside the kernel.
type spender struct{ now, spent time.Duration }

func (s *spender) spend(d time.Duration, share float64) {
	s.now += d
	s.spent += time.Duration(share * float64(d) * float64(runtime.GOMAXPROCS(0)))
}

func newOccupancy(s *spender) *occupancy {
	return &occupancy{used: func() time.Duration { return s.spent }}
}

// TestSystemCallsAreTakenForComputing catches sockets that jump the queue, to a
// third of their requests' cost, because goroutines beside them sit in fsync.
func TestSystemCallsAreTakenForComputing(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	for range 100 {
		s.spend(occupancyWindow, 0.05)
		if o.isHigh(s.now) {
			t.Fatal("goroutines that sit in system calls compute")
		}
	}
}

func TestComputingIsTakenForSystemCalls(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	s.spend(time.Hour, 0.01) // what was long ago does not count
	o.isHigh(s.now)
	s.spend(occupancyWindow, 0.65)
	if !o.isHigh(s.now) {
		t.Error("two thirds of the processors are not computing")
	}
	s.spend(occupancyWindow, 0)
	if o.isHigh(s.now) {
		t.Error("computing has not ended when it has")
	}
}

// TestOneTickIsTakenForComputing catches a verdict over a time so short that a
// single tick of the kernel's accounting decides it.
func TestOneTickIsTakenForComputing(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	s.spend(time.Second, 0)
	o.isHigh(s.now)
	s.spend(time.Millisecond, 1)
	if o.isHigh(s.now) {
		t.Errorf("after a millisecond, want nothing to change before %v", occupancyWindow)
	}
}

func TestUserTimeStandsStill(t *testing.T) {
	begun := userTime()
	for deadline := time.Now().Add(10 * time.Second); userTime() == begun; {
		if time.Now().After(deadline) {
			t.Fatal("ten seconds of computing count as no user time")
		}
	}
}
