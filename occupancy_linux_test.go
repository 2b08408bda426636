package eddy

import (
	"runtime"
	"testing"
	"time"
)

// spender is a process that spends a share of its processors, and a part of that
// outside the kernel.
type spender struct{ now, all, user time.Duration }

func (s *spender) spend(d time.Duration, all, user float64) {
	there := float64(d) * float64(runtime.GOMAXPROCS(0))
	s.now += d
	s.all += time.Duration(all * there)
	s.user += time.Duration(user * there)
}

func newOccupancy(s *spender) *occupancy {
	return &occupancy{used: func() (all, user time.Duration) { return s.all, s.user }}
}

// TestSystemCallsAreTakenForComputing catches sockets that jump the queue, to a
// third of their requests' cost, because goroutines beside them sit in fsync.
func TestSystemCallsAreTakenForComputing(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	for range 100 {
		s.spend(occupancyWindow, 0.9, 0.05)
		if o.review(s.now); o.computing.Load() {
			t.Fatal("goroutines that sit in system calls compute")
		}
	}
}

func TestComputingIsTakenForSystemCalls(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	s.spend(time.Hour, 0.01, 0.01) // what was long ago does not count
	o.review(s.now)
	s.spend(occupancyWindow, 0.65, 0.65)
	if o.review(s.now); !o.computing.Load() {
		t.Error("two thirds of the processors are not computing")
	}
	s.spend(occupancyWindow, 0, 0)
	if o.review(s.now); o.computing.Load() {
		t.Error("computing has not ended when it has")
	}
}

// TestOneTickIsTakenForComputing catches a verdict over a time so short that a
// single tick of the kernel's accounting decides it.
func TestOneTickIsTakenForComputing(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	s.spend(time.Second, 0, 0)
	o.review(s.now)
	s.spend(time.Millisecond, 1, 1)
	if o.review(s.now); o.computing.Load() || o.busy.Load() {
		t.Errorf("after a millisecond, want nothing to change before %v", occupancyWindow)
	}
}

// TestSocketsFlutterBetweenLoopAndApart catches a verdict that changes each time
// it is asked for, though what the process does hardly does.
func TestSocketsFlutterBetweenLoopAndApart(t *testing.T) {
	var s spender
	o := newOccupancy(&s)
	for _, c := range []struct {
		share float64
		busy  bool
	}{{0.05, false}, {0.3, false}, {0.45, true}, {0.3, true}, {0.2, false}, {0.3, false}} {
		s.spend(occupancyWindow, c.share, 0)
		if o.review(s.now); o.busy.Load() != c.busy {
			t.Errorf("busy %v with %v of the processors, want %v", o.busy.Load(), c.share, c.busy)
		}
	}
}

func TestUserTimeStandsStill(t *testing.T) {
	all, begun := processorTimes()
	if all < begun {
		t.Errorf("%v in all, %v of it outside the kernel", all, begun)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, user := processorTimes(); user != begun {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("ten seconds of computing count as no user time")
		}
	}
}
