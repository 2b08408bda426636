package background

import (
	"runtime/debug"
	"time"
)

// The live heap, its pace of replacement and the collector's setting. Together they make for about two collections a
// second, each of which has three million pointers to follow.
const (
	garbageObjects  = 200 << 20 / 64
	garbagePerTick  = 2 * garbageObjects / 5 / 500 // two fifths of the heap each second
	garbageTick     = 2 * time.Millisecond
	garbageGOGC     = 20
	garbageMaxTicks = 16 // what is caught up with at most, after the goroutine did not get to run
)

// node is a small object with pointers in it, 64 bytes.
type node struct {
	left, right *node
	_           [6]uint64 // payload
}

// newGarbage fills the heap, and returns the goroutine that goes on replacing what is in it. Its pace is set by the
// clock and not by how fast it is, so that every side gets the same amount of garbage.
func newGarbage(w *Work) func() {
	debug.SetGCPercent(garbageGOGC)
	live := make([]*node, garbageObjects)
	for i := range live {
		live[i] = &node{}
		if i > 0 {
			live[i].left, live[i].right = live[i/2], live[i/3]
		}
	}
	return func() {
		at, last := 0, time.Now()
		for !w.over.Load() {
			time.Sleep(garbageTick)
			ticks := min(time.Since(last)/garbageTick, garbageMaxTicks)
			last = last.Add(ticks * garbageTick)
			if time.Since(last) > garbageMaxTicks*garbageTick {
				last = time.Now()
			}
			for range int(ticks) * garbagePerTick {
				live[at] = &node{}
				at = (at + 1) % len(live)
			}
		}
	}
}
