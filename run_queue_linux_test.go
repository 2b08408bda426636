package eddy

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestQueueIsShortForLong(t *testing.T) {
	var q runQueue
	if !q.isShort() {
		t.Fatal("long before it was measured")
	}
	q.waited(2 * runQueueShort)
	if !q.isShort() {
		t.Error("long after a single wait")
	}
	for range 100 {
		q.waited(2 * runQueueShort)
	}
	if q.isShort() {
		t.Errorf("short after a hundred waits of %v", 2*runQueueShort)
	}
	for range 100 {
		q.waited(runQueueShort / 2)
	}
	if !q.isShort() {
		t.Errorf("long after a hundred waits of %v", runQueueShort/2)
	}
	q.waited(100 * runQueueShort)
	if q.begin(); !q.isShort() {
		t.Error("what was long ago counts")
	}
}

// TestQueueIsMeasuredByWhoDoesNotWait catches a measurement that is over before
// those who compute have had their turn, or one that does not end.
func TestQueueIsMeasuredByWhoDoesNotWait(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const burst = 5 * time.Millisecond // the scheduler preempts who takes twice that
	var q runQueue
	ended := make(chan struct{})
	var done atomic.Bool
	go func() {
		defer close(ended)
		for !done.Load() {
			for begun := time.Now(); time.Since(begun) < burst; {
			}
			runtime.Gosched()
		}
	}()
	defer func() { done.Store(true); <-ended }()
	for deadline := time.Now().Add(10 * time.Second); time.Duration(q.average.Load()) < burst/2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it takes %v, beside somebody who computes for %v", time.Duration(q.average.Load()), burst)
		}
		q.join()
	}
	for q.joined.Load() { // its goroutine ends
		time.Sleep(time.Millisecond)
	}
}
