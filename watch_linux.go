package eddy

import (
	"sync/atomic"
	"time"
)

// watch makes the rounds of a driver's loops.
type watch struct {
	rounds rounds
	loops  func() []*loop
	timer  *time.Timer
	events atomic.Uint64 // of all sockets
	looped atomic.Uint64 // of these, those that loops have found by themselves
	turns  atomic.Uint64 // in which they did
	relief atomic.Uint64 // that readers have found in their stead, since the last round
	solos  atomic.Int32  // sockets that are solo
	due    atomic.Int64  // when the next round is to be, on the driver's clock
	turned atomic.Uint64 // looped when it was decided upon

	occupancy occupancy // reviewed by the round
	aparts    aparts
	queue     runQueue
}

func (w *watch) init(loops func() []*loop) {
	w.rounds.init()
	w.occupancy.used = processorTimes
	w.loops = loops
	w.timer = time.AfterFunc(time.Hour, w.round)
	w.timer.Stop()
}

// turn says that a loop's turn has found events.
func (w *watch) turn(events int) {
	w.looped.Add(uint64(events))
	w.turns.Add(1)
	w.happened(events)
}

// happened says that sockets have had events, in a loop or apart.
func (w *watch) happened(events int) {
	w.events.Add(uint64(events))
	if now := sinceStart(); w.rounds.happened(now) {
		w.next(now)
	}
}

func (w *watch) next(now time.Duration) {
	w.due.Store(int64(now + roundFast))
	w.turned.Store(w.looped.Load())
	w.timer.Reset(roundFast)
}

// round is the timer's.
func (w *watch) round() {
	begun := sinceStart()
	late := begun-time.Duration(w.due.Load()) > roundLate
	turned := int(w.looped.Load() - w.turned.Load())
	found := int(w.relief.Swap(0))
	if late {
		for _, l := range w.loops() {
			found += l.round() + l.stuck(begun)
		}
	}
	now := sinceStart()
	w.occupancy.review(now)
	again, fell := w.rounds.went(late && w.occupancy.computing.Load() && found > turned, now)
	if w.rounds.behind.Load() {
		w.queue.join()
	}
	if fell {
		w.queue.begin()
		for _, l := range w.loops() {
			l.gate.begin()
		}
	}
	if again {
		w.next(now)
	}
}

// stop ends the rounds; one may be under way.
func (w *watch) stop() { w.timer.Stop() }
