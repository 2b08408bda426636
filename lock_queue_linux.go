package eddy

import (
	"context"
	"slices"
	"sync"

	"github.com/eddyio/eddy/driver"
)

// lockQueue is those who wait for a side's lock, but not beyond the end of a context.
// A mutex cannot be waited for like that, so one goroutine waits for all of them,
// however many come and go, and ends when there is nobody left and it has had the
// lock. It has not got it yet when everybody has left: it stays, for whoever is
// next.
type lockQueue struct {
	mu      sync.Mutex
	waiting []chan struct{} // capacity 1: whoever is sent to has the lock
	serving bool            // the goroutine runs
}

// queueOf is the queue for a side's lock.
func (s *socket) queueOf(side driver.Side) *lockQueue {
	both := s.queues.Load()
	if both == nil {
		s.queues.CompareAndSwap(nil, new([2]lockQueue))
		both = s.queues.Load()
	}
	return &both[side]
}

// lock locks side, whose queue it is, unless the context ends before.
func (q *lockQueue) lock(ctx context.Context, side *sync.Mutex) error {
	mine := make(chan struct{}, 1)
	q.mu.Lock()
	q.waiting = append(q.waiting, mine)
	if !q.serving {
		q.serving = true
		go q.serve(side)
	}
	q.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, mine); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	} else {
		side.Unlock() // the lock came at the same moment
	}
	return ctx.Err()
}

// serve locks side for one after the other.
func (q *lockQueue) serve(side *sync.Mutex) {
	for more := true; more; {
		side.Lock()
		q.mu.Lock()
		if len(q.waiting) > 0 {
			q.waiting[0] <- struct{}{}
			q.waiting = slices.Delete(q.waiting, 0, 1)
		} else {
			side.Unlock()
		}
		more = len(q.waiting) > 0
		q.serving = more
		q.mu.Unlock()
	}
}
