package eddy

import (
	"runtime"
	"sync/atomic"
	"time"
)

// occupancy tells how the process uses its processors of late: whether goroutines
// compute, that is spend a good part of them outside the kernel, and whether it is
// busy, inside or outside. One goroutine at a time may review it, all may ask for
// the verdicts. The zero value, with used set, says no.
type occupancy struct {
	used      func() (all, user time.Duration) // by all threads so far
	asked     time.Duration                    // when used was last called
	all, user time.Duration                    // and what it said
	computing atomic.Bool
	busy      atomic.Bool
}

const (
	// occupancyWindow is the least time over which used is looked at. Most
	// kernels charge a thread's time by where a tick of 1 to 10 ms finds it.
	occupancyWindow = 20 * time.Millisecond

	// computingShare is from when on goroutines compute. Those that sit in fsync
	// beside busy sockets leave it at a twentieth, those that compute for 2 ms
	// at a time at two thirds, while other processes have what is missing.
	computingShare = 0.25

	// busyShare is from when on the process is busy. Sockets that cost it a quarter
	// of its processors are served equally well by their loops and apart; those
	// that would take all processors if others did not take some leave it above
	// two fifths, while their clients take as much.
	busyShare = 0.35
	restShare = 0.25 // and from when on it no longer is
)

// review brings the verdicts up to date.
func (o *occupancy) review(now time.Duration) {
	age := now - o.asked
	if age < occupancyWindow {
		return
	}
	all, user := o.used()
	there := float64(age) * float64(runtime.GOMAXPROCS(0))
	o.computing.Store(float64(user-o.user) >= computingShare*there)
	enough := busyShare
	if o.busy.Load() {
		enough = restShare
	}
	o.busy.Store(float64(all-o.all) >= enough*there)
	o.asked, o.all, o.user = now, all, user
}
