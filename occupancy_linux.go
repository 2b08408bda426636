package eddy

import (
	"runtime"
	"time"
)

// occupancy tells whether goroutines compute: whether the process has spent a
// good part of its processors outside the kernel of late. It is for one goroutine
// at a time. The zero value, with used set, says no.
type occupancy struct {
	used  func() time.Duration // time outside the kernel, of all threads so far
	asked time.Duration        // when used was last called
	spent time.Duration        // and what it said
	high  bool
}

const (
	// occupancyWindow is the least time over which used is looked at. Most
	// kernels charge a thread's time by where a tick of 1 to 10 ms finds it.
	occupancyWindow = 20 * time.Millisecond

	// occupancyHigh is from when on goroutines compute. Those that sit in fsync
	// beside busy sockets leave it at a twentieth, those that compute for 2 ms
	// at a time at two thirds, while other processes have what is missing.
	occupancyHigh = 0.25
)

// isHigh reports whether goroutines compute.
func (o *occupancy) isHigh(now time.Duration) bool {
	if age := now - o.asked; age >= occupancyWindow {
		spent := o.used()
		o.high = float64(spent-o.spent) >= occupancyHigh*float64(age)*float64(runtime.GOMAXPROCS(0))
		o.asked, o.spent = now, spent
	}
	return o.high
}
