package eddy

import (
	"sync"
	"time"

	"github.com/eddyio/eddy/driver"
)

// expiry is the deadline of one side of a socket. It is made when there first is
// one. Its timer is left to run when the deadline moves to a later time: renewing
// a deadline with every request costs no more than looking at the clock.
type expiry struct {
	mu    sync.Mutex
	at    time.Time // zero: never
	timer *time.Timer
	alarm time.Time // when the timer fires; zero: it does not
	ended bool
}

// expiries is both sides' deadlines.
type expiries [2]expiry

// set moves the deadline. After end it does nothing.
func (e *expiry) set(s *socket, side driver.Side, t time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	e.at = t
	if t.IsZero() {
		s.io().Renew(side)
		return
	}
	left := time.Until(t)
	if left <= 0 {
		s.expire(side)
		return
	}
	s.io().Renew(side)
	if e.alarm.IsZero() || t.Before(e.alarm) {
		e.start(s, side, left)
	}
}

// start makes the timer fire after so long.
func (e *expiry) start(s *socket, side driver.Side, left time.Duration) {
	e.alarm = e.at
	if e.timer == nil {
		e.timer = time.AfterFunc(left, func() { e.fire(s, side) })
		return
	}
	e.timer.Reset(left)
}

// fire is the timer's. It may be early: the deadline has moved, then.
func (e *expiry) fire(s *socket, side driver.Side) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.alarm = time.Time{}
	if e.ended || e.at.IsZero() {
		return
	}
	if left := time.Until(e.at); left > 0 {
		e.start(s, side, left)
		return
	}
	s.expire(side)
}

// expire ends what waits for the side.
func (s *socket) expire(side driver.Side) {
	s.io().Expire(side)
	s.rouse(side)
}

// end stops it for good.
func (e *expiry) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if e.timer != nil {
		e.timer.Stop()
	}
}
