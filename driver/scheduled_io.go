package driver

import (
	"sync"
	"sync/atomic"

	"github.com/eddyio/eddy/poll"
)

// ReadyEvent is what a registration was found ready for, and when: the tick
// keeps ClearReady from erasing news that came after it.
type ReadyEvent struct {
	Ready poll.Ready
	tick  uint32
}

// ScheduledIO is the readiness of one descriptor and those who wait for it.
//
// Its word:
//
//	63              32 31       9      8       7         0
//	+-----------------+----------+----------+------------+
//	|      tick       |  unused  | shutdown | poll.Ready |
//	+-----------------+----------+----------+------------+
//
//	by        does                                   if
//	--------  -------------------------------------  ---------------------------
//	a turn    sets bits, tick+1, wakes               always
//	a reader  clears the bits it saw, after EAGAIN   the tick is the one it saw:
//	          had told it that they are out of date  else there is news it has
//	                                                 not acted upon
//	the end   sets shutdown, wakes all               once
//
// Without the tick, a turn that announces new data between a reader's EAGAIN
// and its clearing would be forgotten, and on an edge-triggered descriptor
// nothing would announce it again.
type ScheduledIO struct {
	word    atomic.Uint64
	mu      sync.Mutex
	waiters *waiter
}

const (
	readyBits   = 0xff
	shutdownBit = 1 << 8
	tickShift   = 32
	tickUnit    = 1 << tickShift
)

// waiter is a goroutine that waits for some readiness.
type waiter struct {
	interest   poll.Interest
	wake       chan struct{} // capacity 1
	next, prev *waiter
	queued     bool
}

// setReadiness adds bits, on a turn's behalf.
func (s *ScheduledIO) setReadiness(r poll.Ready) {
	for {
		old := s.word.Load()
		if s.word.CompareAndSwap(old, (old|uint64(r))+tickUnit) {
			return
		}
	}
}

// clearReadiness takes the event's bits away, unless there has been news.
func (s *ScheduledIO) clearReadiness(e ReadyEvent) {
	for {
		old := s.word.Load()
		if uint32(old>>tickShift) != e.tick {
			return
		}
		if s.word.CompareAndSwap(old, old&^uint64(e.Ready)) {
			return
		}
	}
}

// readiness is what of the interest is ready now.
func (s *ScheduledIO) readiness(interest poll.Interest) (e ReadyEvent, shutdown bool) {
	word := s.word.Load()
	e.Ready = poll.Ready(word&readyBits) & poll.ReadyFor(interest)
	e.tick = uint32(word >> tickShift)
	return e, word&shutdownBit != 0
}

// shutdown makes the descriptor unusable and wakes everybody.
func (s *ScheduledIO) shutdown() {
	s.word.Or(shutdownBit)
	s.wake(poll.Ready(readyBits))
}

// wake wakes those who wait for any of the bits.
func (s *ScheduledIO) wake(r poll.Ready) {
	s.mu.Lock()
	for w := s.waiters; w != nil; {
		next := w.next
		if r.Satisfies(w.interest) {
			s.unlink(w)
			w.wake <- struct{}{}
		}
		w = next
	}
	s.mu.Unlock()
}

// enqueue adds a waiter. The caller looks at the word once more afterwards:
// either it sees what a turn has set, or that turn sees the waiter.
func (s *ScheduledIO) enqueue(w *waiter) {
	s.mu.Lock()
	w.next, w.prev, w.queued = s.waiters, nil, true
	if w.next != nil {
		w.next.prev = w
	}
	s.waiters = w
	s.mu.Unlock()
}

// dequeue takes a waiter out and drops a wake-up it may have got.
func (s *ScheduledIO) dequeue(w *waiter) {
	s.mu.Lock()
	if w.queued {
		s.unlink(w)
	} else {
		select {
		case <-w.wake:
		default:
		}
	}
	s.mu.Unlock()
}

func (s *ScheduledIO) unlink(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		s.waiters = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
}
