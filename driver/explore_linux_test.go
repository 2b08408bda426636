//go:build linux && explore

package driver

import (
	"fmt"
	"iter"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// search visits every schedule of a model: a depth-first walk over all choices
// there are. A run of the model is repeated from its beginning for each
// schedule, on the real code of this package; a state that was visited before,
// by whatever way, is not followed again.
//
// A state is everything that can be reached from the model (see fingerprint),
// and where each actor stands. An actor in the middle of something has locals
// that nobody can look at: they follow from what it has seen since it last
// rested, so the fingerprints of all it can have seen stand for them.
type search struct {
	t     testing.TB
	build func(*run)
	fine  bool // atomics and locks are scheduling points, not only what rests, blocks or wakes

	stack   []node
	known   map[uint64]float64 // the number of schedules from that state on
	onStack map[uint64]struct{}

	states, steps, runs, longest int
	cycles                       int
	limit                        int // most states; 0 is none
	tracing                      bool
	apart                        bool // visit states again: to prove that it makes no difference
	whole                        bool // leave out no schedules: likewise
	outcomes                     map[string]bool
}

// node is a place on the way at which there was a choice, or a state.
type node struct {
	options, taken int
	schedules      float64
	state          uint64 // 0 if it is a choice within a step
	shared         uint64
}

// run is one schedule being played.
type run struct {
	*search
	model  any
	actors []*actor
	turn   *actor
	depth  int

	// local says that an actor's next step has no bearing on what others do
	// and the other way round, whatever they do until it is made: then it is
	// enough to look at the schedules in which it is made at once.
	local func(*actor) bool

	// idle says that an actor who pauses there would find nothing to do and
	// change nothing.
	idle func(where string) func() bool

	trace   []string
	clock   time.Duration
	check   func()        // after each step
	last    func()        // when nobody can go on
	outcome func() string // what has become of all, then
	added   func()        // the eventfd was written to
	closed  func(fd int)  // a descriptor was disposed of
	shared  uint64        // the fingerprint of what all see, at the last choice of an actor
	print   fingerprint
	end     func() // when the run is over, or broken off
}

// actor is a goroutine of the model. They take turns.
type actor struct {
	r       *run
	name    string
	job     *job        // whose owner or asker it is
	daemon  func() bool // may be waiting when all is over
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	until   func() bool
	where   string
	history uint64
	fresh   bool // has not done anything visible since it went on
	ended   bool
	pausing bool
	news    bool   // something has changed since the pause began
	spins   int    // pauses since something changed
	seen    uint64 // at the last pause
}

// abandoned unwinds an actor whose run is over.
type abandoned struct{}

// violation ends the exploration.
type violation struct{ what string }

func (r *run) failf(format string, args ...any) {
	panic(violation{fmt.Sprintf(format, args...)})
}

func (r *run) note(format string, args ...any) {
	if r.tracing && len(r.trace) > 0 {
		r.trace[len(r.trace)-1] += " [" + fmt.Sprintf(format, args...) + "]"
	}
}

func (r *run) actor(name string, daemon func() bool, body func()) *actor {
	a := &actor{r: r, name: name, daemon: daemon, where: "begins", fresh: true}
	a.resume, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		a.yield = yield
		defer func() {
			a.ended = true
			if p := recover(); p != nil {
				if _, ok := p.(abandoned); !ok {
					panic(p)
				}
			}
		}()
		body()
	})
	r.actors = append(r.actors, a)
	return a
}

// away lets others go on. It returns when it is this actor's turn again.
func (a *actor) away(where string, until func() bool) {
	a.where, a.until = where, until
	if !a.yield(struct{}{}) {
		panic(abandoned{})
	}
	a.until = nil
}

// rest is away at a place where the actor has no locals.
func (r *run) rest(where string, until func() bool) {
	a := r.turn
	a.history, a.seen, a.spins = 0, 0, 0
	a.away(where, until)
	a.history, a.fresh = 1, true
}

// observed adds what the actor has looked at to its history.
func (r *run) observed(what any) {
	x := uint64(1)
	switch v := what.(type) {
	case bool:
		if v {
			x = 2
		}
	case uint32:
		x = uint64(v) + 3
	case uint64:
		x = v
	case *Op:
		if v != nil {
			x = 1<<40 + v.Entry.Off // serves as its name
			if v.target != nil {
				x += 1<<20 + v.target.Entry.Off
			}
		}
	case *closing:
		if v != nil {
			x = 2
		}
	default:
		panic(fmt.Sprintf("observed a %T", what))
	}
	r.turn.history = mix(r.turn.history, x)
}

// observedAll is for what may have been looked at through a pointer or under a
// lock.
func (r *run) observedAll() { r.turn.history = mix(r.turn.history, r.shared) }

// The methods of explorer.

func (r *run) step(where string) {
	a := r.turn
	switch {
	case a == nil:
	case a.fresh:
		a.fresh = false
	case r.fine, where == "lock":
		a.away(where, nil)
		a.fresh = false
	}
}

func (r *run) reach(where string) {
	a := r.turn
	a.away(where, nil)
	a.fresh = true
}

func (r *run) block(where string, until func() bool) {
	a := r.turn
	if homes[where] {
		a.history = 0
	}
	a.away(where, until)
	if homes[where] {
		a.history = 1
	}
	a.fresh = false
}

// homes are the places in the driver at which a goroutine has no locals that
// matter: the top of the flusher, one who waits for readiness, a thread asleep that has submitted nothing in
// the same call, a shutdown between two looks.
var homes = map[string]bool{
	"receives":                         true,
	"sleeps":                           true,
	"sleeps in the kernel":             true,
	"sleeps in the kernel, for a time": true,
	"drain":                            true,
}

// pause waits until there is something new to see. What is retried without any
// news may yet end otherwise, but not for ever.
func (r *run) pause(where string) {
	a := r.turn
	if homes[where] {
		a.history = 0
	}
	idle := func() bool { return false }
	if r.idle != nil && !r.whole {
		idle = r.idle(where)
	}
	a.pausing = true
	a.away(where, func() bool { return !idle() && (a.news || a.spins < 2) })
	if homes[where] {
		a.history = 1
	}
	a.fresh, a.news = true, false
}

// look keeps track of what is new to those who pause.
func (a *actor) look() {
	switch {
	case a.pausing:
		a.pausing = false
		if a.seen != a.r.shared {
			a.seen, a.spins = a.r.shared, 0
		}
		a.spins++
	case a.spins > 0 && a.seen != a.r.shared:
		a.news = true
	}
}

func (r *run) forget(where string) { r.turn.history = name(where) }

// name is a hash of a name.
func name(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func (r *run) eventAdd(int) { r.added() }

func (r *run) closeResult(fd int) { r.closed(fd) }

func (r *run) now() time.Duration { return r.clock }

// choose is a choice of the model's environment, within a step.
func (r *run) choose(options int) int {
	if options == 1 {
		return 0
	}
	if r.depth == len(r.stack) {
		r.stack = append(r.stack, node{options: options})
	}
	n := &r.stack[r.depth]
	r.depth++
	if n.options != options {
		r.failf("the model is not deterministic: %d options instead of %d", options, n.options)
	}
	r.turn.history = mix(r.turn.history, uint64(n.taken)+1)
	return n.taken
}

// state is what the next steps depend on.
func (r *run) state() uint64 {
	h := mix(r.shared, uint64(r.clock))
	for i, a := range r.actors {
		if !a.ended {
			h = mix(h, mix(mix(mix(name(a.where), a.history), a.patience()), uint64(i)))
		} else {
			h = mix(h, uint64(i))
		}
	}
	return h | 1
}

// patience is what a pause makes of the state.
func (a *actor) patience() uint64 {
	if a.news {
		return 99
	}
	return uint64(a.spins)
}

// play runs one schedule and reports how many there are from where it ended.
func (r *run) play() float64 {
	for _, a := range r.actors { // to where each has something to do with others
		r.turn = a
		a.resume()
	}
	var ready []*actor
	for {
		if r.depth == len(r.stack) {
			r.shared = r.print.of(r.model)
		} else {
			r.shared = r.stack[r.depth].shared
		}
		ready = ready[:0]
		for _, a := range r.actors {
			a.look()
			if !a.ended && (a.until == nil || a.until()) {
				ready = append(ready, a)
			}
		}
		for _, a := range ready {
			if r.local != nil && !r.whole && r.local(a) {
				ready[0], ready = a, ready[:1]
				break
			}
		}
		if r.depth == len(r.stack) {
			state := r.state()
			if _, ok := r.onStack[state]; ok {
				r.cycles++
				return 0
			}
			if schedules, ok := r.known[state]; ok && !r.apart {
				return schedules
			}
			r.states++
			if r.limit > 0 && r.states > r.limit {
				r.failf("more than %d states", r.limit)
			}
			if len(ready) == 0 {
				r.finish()
				r.known[state] = 1
				return 1
			}
			r.onStack[state] = struct{}{}
			r.stack = append(r.stack, node{options: len(ready), state: state, shared: r.shared})
		}
		n := &r.stack[r.depth]
		r.depth++
		r.longest = max(r.longest, r.depth)
		if n.options != len(ready) {
			r.failf("the model is not deterministic: %d actors can go on instead of %d", len(ready), n.options)
		}
		a := ready[n.taken]
		if r.tracing {
			r.trace = append(r.trace, a.name+" "+a.where)
		}
		r.turn = a
		a.resume()
		r.turn = nil
		r.check()
	}
}

func (r *run) finish() {
	for _, a := range r.actors {
		if !a.ended && !a.daemon() {
			r.failf("%s is left behind (%s)", a.name, a.where)
		}
	}
	r.last()
	if r.outcomes != nil {
		r.outcomes[r.outcome()] = true
	}
}

// once plays the schedule that the stack says, and what comes after it.
func (s *search) once() (schedules float64, broken string, trace []string) {
	r := &run{search: s}
	exploring = r
	defer func() {
		p := recover()
		for _, a := range r.actors {
			r.turn = a
			a.stop()
		}
		exploring = nil
		r.end()
		if p == nil {
			return
		}
		trace = r.trace
		if v, ok := p.(violation); ok {
			broken = v.what
		} else {
			broken = fmt.Sprint("panic: ", p)
		}
	}()
	s.build(r)
	return r.play(), "", nil
}

// explore visits everything and reports the number of schedules.
func (s *search) explore() float64 {
	s.t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one actor runs at a time
	s.known, s.onStack = map[uint64]float64{}, map[uint64]struct{}{}
	for {
		s.runs++
		schedules, broken, _ := s.once()
		if broken != "" {
			s.tracing = true // the same once more, for the record
			_, broken, trace := s.once()
			s.t.Fatalf("%s\nafter %d states, by this schedule:\n  %s", broken, s.states, strings.Join(trace, "\n  "))
		}
		s.steps++
		for {
			if len(s.stack) == 0 {
				if schedules == 0 {
					s.t.Fatalf("no schedule comes to an end")
				}
				return schedules
			}
			n := &s.stack[len(s.stack)-1]
			n.schedules += schedules
			if n.taken++; n.taken < n.options {
				break
			}
			schedules = n.schedules
			if n.state != 0 {
				s.known[n.state] = schedules
				delete(s.onStack, n.state)
			}
			s.stack = s.stack[:len(s.stack)-1]
			if len(s.stack) > 0 {
				s.steps++
			}
		}
	}
}

func count(schedules float64) string {
	if schedules < 1e15 {
		return fmt.Sprintf("%.0f", schedules)
	}
	exp := math.Floor(math.Log10(schedules))
	return fmt.Sprintf("%.2fe%.0f", schedules/math.Pow(10, exp), exp)
}
