package eddy

import (
	"runtime"
	"sync/atomic"
	"time"
)

// runQueue measures the scheduler's queue: how long who joins it waits for a
// processor. The zero value is a short one.
type runQueue struct {
	average atomic.Int64 // of the last waits, a moving one
	joined  atomic.Bool
}

const (
	// runQueueShort is between what it takes with one or two goroutines that
	// compute for 2 ms at a time on each processor (2 to 5 ms) and with four
	// (7 to 13 ms).
	runQueueShort = 6 * time.Millisecond

	runQueueWeight = 4 // a wait is worth this part of the average
)

// isShort reports whether the queue is short.
func (q *runQueue) isShort() bool { return q.average.Load() < int64(runQueueShort) }

// begin forgets what was long ago.
func (q *runQueue) begin() { q.average.Store(0) }

// join measures the queue, unless that is under way.
func (q *runQueue) join() {
	if !q.joined.CompareAndSwap(false, true) {
		return
	}
	go func() {
		begun := sinceStart()
		runtime.Gosched() // to the end of the queue that all processors share
		q.waited(sinceStart() - begun)
		q.joined.Store(false)
	}()
}

// waited counts a wait.
func (q *runQueue) waited(d time.Duration) {
	average := q.average.Load()
	q.average.CompareAndSwap(average, average+(int64(d)-average)/runQueueWeight) // unless it begins
}
