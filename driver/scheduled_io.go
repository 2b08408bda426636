package driver

import "github.com/eddyio/eddy/poll"

// ReadyEvent is what a descriptor was found ready for, and when: the tick keeps
// ClearReady from erasing news that came after it.
type ReadyEvent struct {
	Ready poll.Ready
	tick  uint32
}

// Side is one of the two things a stream does, each of which one goroutine at a
// time may wait for with Wait.
type Side uint8

const (
	// Reading waits for poll.Readable, and for poll.Priority.
	Reading Side = iota
	// Writing waits for poll.Writable.
	Writing
)

// Readiness is the word of a ScheduledIO at one moment.
//
//	63  32 31..16 15         14 13     12  11      10     9  8         7        0
//	+------+-----+-------------+---------+--------+---------+----------+----------+
//	| tick |  -  | interrupted | expired | listed | waiting | shutdown | Ready    |
//	|      |     |  w   |   r  |  w |  r |        |  w |  r |          |          |
//	+------+-----+-------------+---------+--------+---------+----------+----------+
//
//	by           does                                  if
//	-----------  ------------------------------------  ----------------------------
//	a turn       sets bits, tick+1, wakes              always
//	a caller     clears the bits it saw, after a call  the tick is the one it saw:
//	             showed that they are out of date      else there is news it has
//	                                                   not acted upon
//	a caller     sets waiting, and sleeps              nothing of its side is set
//	who wakes    clears waiting, and sends one token   waiting was set
//	a deadline   sets or clears expired, wakes         always
//	a context    sets interrupted, wakes               while its caller is inside
//	the end      sets shutdown, wakes all              once
//
// Without the tick, a turn that announces new data between a reader's EAGAIN
// and its clearing would be forgotten, and on an edge-triggered descriptor
// nothing would announce it again.
type Readiness uint64

const (
	readyBits        = 0xff
	shutdownBit      = 1 << 8
	waitingShift     = 9 // by Side
	waitingBits      = 3 << waitingShift
	listedBit        = 1 << 11
	expiredShift     = 12 // by Side
	interruptedShift = 14 // by Side
	tickShift        = 32
	tickUnit         = 1 << tickShift
)

// readyFor is what ends the wait of a side.
var readyFor = [2]poll.Ready{
	poll.ReadyFor(poll.Readable | poll.Priority),
	poll.ReadyFor(poll.Writable),
}

func waitingBit(side Side) uint64     { return 1 << (waitingShift + side) }
func expiredBit(side Side) uint64     { return 1 << (expiredShift + side) }
func interruptedBit(side Side) uint64 { return 1 << (interruptedShift + side) }

// Ready is what of the side's readiness is known.
func (w Readiness) Ready(side Side) poll.Ready { return poll.Ready(w) & readyFor[side] }

// Ended reports whether the side must not be used: after Shutdown, or a deadline.
func (w Readiness) Ended(side Side) bool {
	return uint64(w)&(shutdownBit|expiredBit(side)) != 0
}

// IsShutdown reports whether Shutdown was called.
func (w Readiness) IsShutdown() bool { return w&shutdownBit != 0 }

// IsExpired reports whether the side's deadline has passed.
func (w Readiness) IsExpired(side Side) bool { return uint64(w)&expiredBit(side) != 0 }

// IsInterrupted reports whether Interrupt was called.
func (w Readiness) IsInterrupted(side Side) bool { return uint64(w)&interruptedBit(side) != 0 }

// ScheduledIO is the readiness of one descriptor and those who wait for it. The
// zero value is ready for nothing. All methods may be called by any goroutine,
// but only one at a time may be in Wait for each side.
type ScheduledIO struct {
	word    atomicUint64
	wakes   [2]chan bool // capacity 1, made by the first to wait; see Wait for the value
	mu      mutex
	waiters *waiter // those who wait for an interest; listedBit says that there are some
}

// waiter is a goroutine that waits for some readiness, among any number.
type waiter struct {
	interest   poll.Interest
	wake       chan struct{} // capacity 1
	next, prev *waiter
	queued     bool
}

// Readiness reads the word.
func (s *ScheduledIO) Readiness() Readiness { return Readiness(s.word.Load()) }

// Set adds readiness on a caller's behalf, who knows of it before a turn does.
func (s *ScheduledIO) Set(r poll.Ready) { s.send(s.announce(r), false) }

// announce adds readiness, wakes those on the list who wait for it, and returns
// the waiting bits of those whom the caller has to send a token.
func (s *ScheduledIO) announce(r poll.Ready) (woken uint64) {
	for {
		old := s.word.Load()
		woken = old & waitingFor(r)
		if !s.word.CompareAndSwap(old, (old|uint64(r))&^woken+tickUnit) {
			continue
		}
		if old&listedBit != 0 {
			s.wakeListed(r)
		}
		return woken
	}
}

// waitingFor is the waiting bits of the sides that the readiness concerns.
func waitingFor(r poll.Ready) uint64 {
	var bits uint64
	for side, ready := range readyFor {
		if r&ready != 0 {
			bits |= waitingBit(Side(side))
		}
	}
	return bits
}

// send wakes the sides whose waiting bit the caller has cleared.
func (s *ScheduledIO) send(woken uint64, last bool) {
	if woken&waitingBit(Reading) != 0 {
		sending(s.wakes[Reading])
		s.wakes[Reading] <- last
	}
	if woken&waitingBit(Writing) != 0 {
		sending(s.wakes[Writing])
		s.wakes[Writing] <- last
	}
}

// Clear takes readiness away that was seen in the word, unless there has been
// news since.
func (s *ScheduledIO) Clear(seen Readiness, r poll.Ready) {
	for {
		old := s.word.Load()
		if old>>tickShift != uint64(seen)>>tickShift {
			return
		}
		if s.word.CompareAndSwap(old, old&^uint64(r)) {
			return
		}
	}
}

// clearReadiness takes the event's bits away, unless there has been news.
func (s *ScheduledIO) clearReadiness(e ReadyEvent) {
	s.Clear(Readiness(e.tick)<<tickShift, e.Ready)
}

// Wait sleeps until the side is ready, ended or interrupted; not at all if it is
// so already. It reports whether this was the last goroutine to start running of
// those that a turn of the driver has woken; while it is not, the driver is not
// what they are waiting for.
func (s *ScheduledIO) Wait(side Side) (last bool) {
	if s.wakes[side] == nil {
		s.wakes[side] = make(chan bool, 1)
	}
	until := uint64(readyFor[side]) | shutdownBit | expiredBit(side) | interruptedBit(side)
	for {
		old := s.word.Load()
		if old&until != 0 {
			return false
		}
		if s.word.CompareAndSwap(old, old|waitingBit(side)) {
			receiving(s.wakes[side])
			return <-s.wakes[side]
		}
	}
}

// wake wakes who waits for the side, if somebody does.
func (s *ScheduledIO) wake(side Side) {
	bit := waitingBit(side)
	s.send(s.word.And(^bit)&bit, false)
}

// Expire says that the side's deadline has passed, and wakes who waits.
func (s *ScheduledIO) Expire(side Side) {
	s.word.Or(expiredBit(side))
	s.wake(side)
}

// Renew takes back what Expire said.
func (s *ScheduledIO) Renew(side Side) { s.word.And(^expiredBit(side)) }

// Interrupt makes Wait return without news, now and until Resume.
func (s *ScheduledIO) Interrupt(side Side) {
	s.word.Or(interruptedBit(side))
	s.wake(side)
}

// Resume takes back what Interrupt said.
func (s *ScheduledIO) Resume(side Side) { s.word.And(^interruptedBit(side)) }

// Shutdown makes the descriptor unusable and wakes everybody. It reports
// whether it was the first call.
func (s *ScheduledIO) Shutdown() bool {
	old := s.word.Or(shutdownBit)
	s.send(s.word.And(^uint64(waitingBits))&waitingBits, false)
	s.wakeListed(poll.Ready(readyBits))
	return old&shutdownBit == 0
}

// readiness is what of the interest is ready now.
func (s *ScheduledIO) readiness(interest poll.Interest) (e ReadyEvent, shutdown bool) {
	word := s.word.Load()
	e.Ready = poll.Ready(word&readyBits) & poll.ReadyFor(interest)
	e.tick = uint32(word >> tickShift)
	return e, word&shutdownBit != 0
}

// wakeListed wakes those on the list who wait for any of the bits.
func (s *ScheduledIO) wakeListed(r poll.Ready) {
	s.mu.Lock()
	for w := s.waiters; w != nil; {
		next := w.next
		if r.Satisfies(w.interest) {
			s.unlink(w)
			sending(w.wake)
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
	s.word.Or(listedBit)
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
	if s.waiters == nil {
		s.word.And(^uint64(listedBit))
	}
}
