//go:build linux && explore

package driver

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/eddyio/eddy/poll"
)

// flow is the model of a descriptor: what can be read from it and written to it,
// what epoll has to say of that, and those who do so. The readiness word between
// them is the real one.
type flow struct {
	r        *run
	io       *ScheduledIO
	reg      *Registration
	data     int        // that can be read
	room     int        // to write
	edge     poll.Ready // what a turn will be told, once
	got, put int
	want     [2]int // how much will be read and written, if nobody stops it

	asleep  [2]bool // in Wait
	down    bool    // Shutdown was called
	late    bool    // Expire was called
	renewed bool    // Renew has returned
	armed   bool    // the context of a call would interrupt it
	firing  bool    // it does
	fired   bool    // and has done so
	gave    *readyContext
	listed  [2]*waiter // by side
}

// readyScenario is who does what in it.
type readyScenario struct {
	name     string
	data     []int // that come, one after another
	room     []int // that comes
	size     int   // of the reader's buffer
	reads    bool
	writes   bool
	looks    bool // the reader looks for itself before it sleeps
	expires  bool
	renews   bool
	contexts int  // how often a reader's context ends
	silent   bool // the peer sends none of it
	there    bool // data and room are, and epoll says both at once
	listed   [2]bool
	leaves   bool // the listed reader may give up
	shutdown bool
}

var readyScenarios = []readyScenario{
	{name: "readiness: reader", reads: true, data: []int{1, 1}, size: 2},
	{name: "readiness: reader with a small buffer", reads: true, data: []int{2, 1}, size: 1},
	{name: "readiness: reader that looks for itself", reads: true, looks: true, data: []int{1, 1}, size: 2},
	{name: "readiness: deadline, and no data", reads: true, silent: true, expires: true, data: []int{1}, size: 1},
	{name: "readiness: context, and no data", reads: true, silent: true, contexts: 1, data: []int{1}, size: 1},
	{name: "readiness: shutdown, and no data", reads: true, silent: true, shutdown: true, data: []int{1}, size: 1},
	{name: "readiness: listed that leaves, and no data", listed: [2]bool{true, false}, silent: true, leaves: true, data: []int{1}},
	{name: "readiness: shutdown of a listed one, and no data", listed: [2]bool{true, false}, silent: true, shutdown: true, data: []int{1}},
	{name: "readiness: deadline", reads: true, expires: true, data: []int{1}, size: 2},
	{name: "readiness: deadline that is renewed", reads: true, expires: true, renews: true, data: []int{1, 1}, size: 2},
	{name: "readiness: context", reads: true, contexts: 1, data: []int{1, 1}, size: 2},
	{name: "readiness: shutdown of a reader", reads: true, shutdown: true, data: []int{1, 1}, size: 2},
	{name: "readiness: reader and writer", reads: true, writes: true, data: []int{1}, size: 1, room: []int{1}},
	{name: "readiness: reader and writer, one event", reads: true, writes: true, there: true, data: []int{1}, size: 2, room: []int{1}},
	{name: "readiness: shutdown of a reader and a writer", reads: true, writes: true, shutdown: true, there: true, data: []int{1}, size: 1, room: []int{1}},
	{name: "readiness: listed", listed: [2]bool{true, false}, data: []int{1, 1}},
	{name: "readiness: two listed, one event", listed: [2]bool{true, true}, there: true, data: []int{1}, room: []int{1}},
	{name: "readiness: listed that may leave", listed: [2]bool{true, false}, leaves: true, data: []int{1}},
	{name: "readiness: listed, and a writer, one event", listed: [2]bool{true, false}, writes: true, there: true, data: []int{1}, room: []int{1}},
	{name: "readiness: shutdown of a listed one", listed: [2]bool{true, false}, shutdown: true, data: []int{1}},
}

// longReady are those that take longer; EDDY_EXPLORE=all explores them, too.
var longReady = []readyScenario{
	{name: "readiness: two contexts", reads: true, contexts: 2, data: []int{1, 1}, size: 2},
	{name: "readiness: shutdown of a listed one that may leave", listed: [2]bool{true, false}, leaves: true, shutdown: true, data: []int{1}},
	{name: "readiness: shutdown while data and room come", reads: true, writes: true, shutdown: true, data: []int{1}, size: 2, room: []int{1}},
	{name: "readiness: two listed", listed: [2]bool{true, true}, data: []int{1}, room: []int{1}},
	{name: "readiness: two listed, one may leave", listed: [2]bool{true, true}, leaves: true, data: []int{1}, room: []int{1}},
	{name: "readiness: listed, and a writer", listed: [2]bool{true, false}, writes: true, data: []int{1}, room: []int{1}},
	{name: "readiness: deadline, context, shutdown", reads: true, expires: true, renews: true, contexts: 1, shutdown: true, data: []int{1}, size: 2},
}

func (s *readyScenario) build(r *run) {
	f := &flow{r: r, reg: &Registration{set: &registrations{}}}
	f.io = &f.reg.io
	for _, n := range s.data {
		f.want[Reading] += n
	}
	for _, n := range s.room {
		f.want[Writing] += n
	}
	r.model, r.check, r.last, r.end = f, f.check, func() {}, func() {}
	if s.there {
		f.data, f.room = f.want[Reading], f.want[Writing]
		f.edge = poll.ReadyReadable | poll.ReadyWritable
	} else if !s.silent {
		f.peer(s)
	}
	f.turn()
	if s.reads {
		f.reader(s)
	}
	if s.writes {
		f.writer(s)
	}
	f.list(s)
	if s.expires {
		r.actor("deadline", always, func() { f.deadline(s.renews) })
	}
	if s.contexts > 0 {
		r.actor("context", always, func() { f.interrupt(s.contexts) })
	}
	if s.shutdown {
		r.actor("shutdown", never, func() {
			r.rest("shuts down", nil)
			f.down, f.reg.set.closed = true, true
			if !f.io.Shutdown() {
				r.failf("the first shutdown is said not to be the first")
			}
		})
	}
}

// peer sends data, and makes room.
func (f *flow) peer(s *readyScenario) {
	if len(s.data) > 0 {
		f.r.actor("sender", never, func() {
			for _, n := range s.data {
				f.r.rest("sends", nil)
				f.data += n
				f.edge |= poll.ReadyReadable
			}
		})
	}
	if len(s.room) > 0 {
		f.r.actor("receiver", never, func() {
			for _, n := range s.room {
				f.r.rest("makes room", nil)
				f.room += n
				f.edge |= poll.ReadyWritable
			}
		})
	}
}

// turn is the owner of the driver, whom epoll tells everything once.
func (f *flow) turn() {
	var a *actor
	a = f.r.actor("turn", func() bool { return a.where == "turns" }, func() {
		for {
			f.r.rest("turns", func() bool { return f.edge != 0 })
			ready := f.edge
			f.edge = 0
			f.r.observed(uint64(ready))
			f.r.reach("announces")
			f.io.send(f.io.announce(ready), false)
		}
	})
}

// outcomes of a call.
var (
	errExpired     = errors.New("expired")
	errInterrupted = errors.New("interrupted")
)

// reader reads until it has all there will be, or must not go on.
func (f *flow) reader(s *readyScenario) {
	f.r.actor("reader", never, func() {
		var err error
		for f.got < f.want[Reading] && err == nil {
			f.r.rest("reads", nil)
			f.armed = s.contexts > 0
			old := f.renewed
			err = f.attempt(Reading, s)
			if f.armed {
				f.stop()
			}
			switch {
			case err == errExpired && old:
				f.r.failf("a deadline that was taken back has ended a call")
			case err == errExpired && s.renews:
				f.r.rest("waits for another deadline", func() bool { return f.renewed })
				err = nil
			case err == errInterrupted && !s.silent:
				err = nil
			}
		}
	})
}

// stop is the end of a call with a context.
func (f *flow) stop() {
	f.r.step("ends the call")
	f.armed = false
	if !f.firing {
		return
	}
	f.r.block("waits for the interrupt", func() bool { return f.fired })
	f.io.Resume(Reading)
	f.firing, f.fired = false, false
}

// interrupt is contexts that end during calls.
func (f *flow) interrupt(times int) {
	for range times {
		f.r.rest("interrupts", func() bool { return f.armed && !f.firing })
		f.firing = true
		f.io.Interrupt(Reading)
		f.fired = true
	}
}

func (f *flow) deadline(renews bool) {
	f.r.rest("expires", nil)
	f.late = true
	f.io.Expire(Reading)
	if renews {
		f.r.rest("is renewed", nil)
		f.io.Renew(Reading)
		f.renewed = true
	}
}

func (f *flow) writer(s *readyScenario) {
	f.r.actor("writer", never, func() {
		var err error
		for f.put < f.want[Writing] && err == nil {
			f.r.rest("writes", nil)
			err = f.attempt(Writing, s)
		}
	})
}

// attempt is one call, as callers of this package make it.
func (f *flow) attempt(side Side, s *readyScenario) error {
	for {
		f.r.forget("attempt")
		seen := f.io.Readiness()
		if seen.Ended(side) || seen.IsInterrupted(side) {
			return f.why(seen, side)
		}
		if seen.Ready(side) == 0 {
			if s.looks && f.look() {
				continue
			}
			f.asleep[side] = true
			f.io.Wait(side)
			f.asleep[side] = false
			continue
		}
		size := s.size
		if side == Writing {
			size = 2
		}
		n := f.move(side, size)
		if n < size {
			f.io.Clear(seen, readyFor[side])
		}
		if n > 0 {
			return nil
		}
	}
}

// look is a reader who finds out for itself that there is data.
func (f *flow) look() bool {
	f.r.step("looks")
	there := f.data > 0
	f.r.observed(there)
	if there {
		f.io.Set(poll.ReadyReadable)
	}
	return there
}

// move is read(2) or write(2).
func (f *flow) move(side Side, size int) int {
	f.r.step([]string{"read(2)", "write(2)"}[side])
	from, to := &f.data, &f.got
	if side == Writing {
		from, to = &f.room, &f.put
	}
	n := min(*from, size)
	*from -= n
	*to += n
	f.r.observed(uint64(n))
	return n
}

// why is the reason for which a call ends, which there has to be.
func (f *flow) why(seen Readiness, side Side) error {
	switch {
	case seen.IsShutdown():
		if !f.down {
			f.r.failf("a call was ended by a shutdown that there was not")
		}
		return ErrShutdown
	case seen.IsExpired(side):
		if !f.late {
			f.r.failf("a call was ended by a deadline that there was not")
		}
		return errExpired
	case side != Reading || !f.firing:
		f.r.failf("a call was interrupted for another one")
	}
	return errInterrupted
}

// list is those who wait with Ready, any number at once.
func (f *flow) list(s *readyScenario) {
	f.gave = &readyContext{f: f, side: Reading}
	other := &readyContext{f: f, side: Writing}
	for side, c := range []*readyContext{f.gave, other} {
		if !s.listed[side] {
			continue
		}
		f.r.actor([]string{"listed reader", "listed writer"}[side], never, func() { f.await(Side(side), c) })
	}
	if s.leaves {
		f.r.actor("context", always, func() {
			f.r.rest("ends", nil)
			f.gave.expired = true
		})
	}
}

func (f *flow) await(side Side, c *readyContext) {
	interest := []poll.Interest{poll.Readable, poll.Writable}[side]
	for *[]*int{&f.got, &f.put}[side] < f.want[side] {
		f.r.rest("waits", nil)
		e, err := f.reg.Ready(c, interest)
		switch {
		case err == nil:
		case c.expired && errors.Is(err, context.Canceled), f.down && errors.Is(err, ErrShutdown):
			return
		default:
			f.r.failf("Ready: %v", err)
		}
		if f.move(side, 1) == 0 {
			f.reg.ClearReady(e)
		}
	}
}

// readyContext is the context of those on the list. Ready looks at Done in order
// to sleep: this is where it can be seen to.
type readyContext struct {
	f       *flow
	side    Side
	expired bool
}

func (c *readyContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *readyContext) Value(any) any { return nil }

func (c *readyContext) Err() error {
	if c.expired {
		return context.Canceled
	}
	return nil
}

var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *readyContext) Done() <-chan struct{} {
	w := c.f.listed[c.side]
	c.f.r.block("sleeps", func() bool { return len(w.wake) > 0 || c.expired })
	if len(w.wake) > 0 {
		return nil // of two that are there, the token: it may as well have come later
	}
	return ended
}

// check holds after each step.
func (f *flow) check() {
	word := f.io.word.v.Load()
	for side, c := range f.io.wakes {
		waiting := word&waitingBit(Side(side)) != 0
		switch {
		case waiting && !f.asleep[side]:
			f.r.failf("%s is said to wait, and does not", sides[side])
		case len(c) > 0 && waiting:
			f.r.failf("there is a token for %s, who is said to wait still", sides[side])
		case len(c) > 0 && !f.asleep[side]:
			f.r.failf("there is a token for %s, who does not wait", sides[side])
		}
	}
	for w := f.io.waiters; w != nil; w = w.next {
		if w.interest.IsReadable() {
			f.listed[Reading] = w
		} else {
			f.listed[Writing] = w
		}
	}
	if f.io.waiters != nil && word&listedBit == 0 && !f.io.mu.held {
		f.r.failf("there is a list, and the word does not say so")
	}
}

var sides = [2]string{"the reader", "the writer"}

// TestExploreReadiness visits all schedules around a readiness word, operation
// by operation on it.
func TestExploreReadiness(t *testing.T) {
	list := readyScenarios
	if os.Getenv("EDDY_EXPLORE") == "all" {
		list = append(slices.Clone(list), longReady...)
	}
	states, steps := 0, 0
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			e := explore(t, s.build, true)
			states += e.states
			steps += e.steps
		})
	}
	t.Logf("%d scenarios, %d states, %d steps", len(list), states, steps)
}

// TestExploreReadinessAgreesWithPlainEnumeration is that of the requests.
func TestExploreReadinessAgreesWithPlainEnumeration(t *testing.T) {
	for _, s := range []readyScenario{
		{name: "reader", reads: true, data: []int{1}, size: 1},
		{name: "writer", writes: true, room: []int{1}},
		{name: "listed", listed: [2]bool{true, false}, data: []int{1}},
	} {
		t.Run(s.name, func(t *testing.T) { agree(t, s.build, true) })
	}
}

var _ context.Context = (*readyContext)(nil)
