package eddy

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// path is a way to do a file operation that has to wait for a device.
type path uint8

const (
	// pathDirect: the caller makes a plain system call. Fastest while few do
	// so: a handful of callers occupy every processor the scheduler has.
	pathDirect path = iota

	// pathRing: the caller parks, and the ring does the operation. Fastest
	// when many do so, at a fraction of the cost; but its completion needs
	// goroutines to be scheduled, which on a saturated processor takes
	// milliseconds each time.
	pathRing
)

// chooser picks the path of each operation. There is one for each kind of
// transfer, and another for those that may be abandoned: a few writes that are
// plain calls must not spoil a trial of reads, nor what is measured of them.
// While few are under way the path is the direct one, by a count. While many are,
// it is the ring unless measurement has shown that the direct path is faster at
// this moment:
//
//	phase        path    until                                  then
//	-----------  ------  -------------------------------------  --------------
//	onRing       ring    the process occupies its processors,   tryingDirect
//	                     scheduling is much of an operation's
//	                     time, and the last trial is some time
//	                     ago
//	tryingDirect direct  a window is over                       onDirect if it
//	                                                            was faster,
//	                                                            else onRing
//	onDirect     direct  the last trial is some time ago, and   tryingRing
//	                     a few single operations on the ring,
//	                     probes, were not held up by scheduling
//	tryingRing   ring    a window is over, or it is clear       onRing if it was
//	                     before that it is slower               not slower,
//	                                                            else onDirect
//
// "Faster" compares speed: operations completed per second for each that is
// under way, which is the inverse of the mean latency (Little's law) and costs
// two counters to measure. At equal speed the ring is preferred, for it costs a
// quarter of the processor. Each trial or probe that fails doubles the time to
// the next.
//
// That the processors are occupied is asked for because goroutines that sit in
// system calls of their own (fsync, say) delay others, too. Direct calls would
// be faster there, by crowding out those: at twenty times the worst latency,
// and on as many threads as there are callers.
type chooser struct {
	few   int32 // up to so many under way, smoothed, the direct path is taken
	bound int32 // most direct calls at once; more go to the ring
	trial int32 // the same during a trial, which should not cost threads
	clock func() time.Duration
	used  func() time.Duration // processor time of the process, by now
	procs int

	underway atomic.Int32
	direct   atomic.Int32
	crowd    atomic.Int32  // operations under way, smoothed, times crowdUnit
	phase    atomic.Uint64 // which phase it is, and how many there were before: a turn
	ended    atomic.Uint64 // operations that have begun and ended in the same turn
	probe    atomic.Bool   // the next operation is to be one
	late     atomic.Bool   // the last operation timed had reason for suspicion: time them all

	mu     sync.Mutex // guards what follows; whoever does not get it at once goes on
	begun  time.Duration
	mark   uint64        // ended, when the window began
	spent  time.Duration // used, when the window began
	load   float64       // part of the processors that the last window used, 0 to 1
	speeds [2]float64    // of each path, last measured
	delay  smoothed      // that scheduling adds to a ring operation
	share  smoothed      // of the whole operation, 0 to 1
	whole  smoothed      // that a ring operation takes
	tryAt  time.Duration // no trial before then
	good   int           // probes in a row that were good
	pause  time.Duration // between the last two trials

	trials, flips atomic.Uint64
}

// phase is what the chooser is doing while many operations are under way. Its
// turn is the phase with the number of phases before it, which tells operations
// of this one from those that were begun in an earlier one.
//
//	63                              2 1       0
//	+--------------------------------+---------+
//	|  phases before                 |  phase  |
//	+--------------------------------+---------+
type phase uint64

const (
	phaseMask = 3
	turnUnit  = 4
)

const (
	onRing phase = iota
	tryingDirect
	onDirect
	tryingRing
)

// path is the way operations take in the phase.
func (p phase) path() path {
	if p == tryingDirect || p == onDirect {
		return pathDirect
	}
	return pathRing
}

const (
	crowdUnit = 64
	crowdStep = 16 // operations it takes for the crowd to follow, roughly

	// One operation in so many looks at the clock and moves the phases on.
	timedEvery = 16

	// A window has to see several of the bursts, of some milliseconds, in
	// which other goroutines occupy the processors, and before it the trial has
	// to settle: both are at least twice as long as an operation takes.
	settle  = 5 * time.Millisecond
	window  = 20 * time.Millisecond
	longest = 40 * time.Millisecond // of either, however long operations take
	hasty   = 6 * time.Millisecond  // when a trial may be given up as hopeless

	// When it is worth finding out whether the direct path is faster.
	suspectShare = 0.4
	suspectDelay = time.Millisecond
	suspectLoad  = 0.6

	// What counts as faster, and as hopeless.
	directFaster = 1.1
	ringAsFast   = 0.95
	hopeless     = 0.4

	goodProbes = 3 // in a row, before the ring is tried

	pauseFirst = 500 * time.Millisecond
	pauseLast  = 4 * time.Second
)

// init sets the thresholds, with how many are few, for a number of processors,
// and whom to ask how much of them the process has used.
func (c *chooser) init(few int32, procs int, used func() time.Duration) {
	c.few, c.bound, c.trial = few, 128, int32(procs)+1
	c.clock, c.used, c.procs = sinceStart, used, procs
}

// fewOf is how many of a kind are few. Writes take many a device longer than
// reads, so that plain calls keep up for longer, but not the holds of those that
// may be abandoned (docs/architecture.md). On a single processor the ring is
// submitted to and reaped on that processor, without a thread to switch to, and
// pays from two operations up.
func fewOf(k transferKind, abandonable bool, procs int) int32 {
	switch {
	case procs == 1:
		return 1
	case k == kindWrite && !abandonable:
		return 8
	default:
		return 5
	}
}

// ticket is one operation's choice, to be handed back with done.
type ticket struct {
	by    *chooser
	path  path
	timed bool   // step, or observe, is wanted
	probe bool   // it is a probe
	turn  uint64 // when it was begun
}

// begin counts an operation in and picks its path.
func (c *chooser) begin() ticket {
	n := c.underway.Add(1)
	crowd := c.crowd.Load()
	crowd += (n*crowdUnit - crowd) / crowdStep
	c.crowd.Store(crowd) // a lost update is one operation's weight
	if crowd <= c.few*crowdUnit+crowdUnit/2 {
		return c.take(ticket{by: c, path: pathDirect})
	}
	t := ticket{by: c, turn: c.phase.Load()}
	p := phase(t.turn & phaseMask)
	if p == onDirect && c.probe.Load() && c.probe.CompareAndSwap(true, false) {
		t.path, t.timed, t.probe = pathRing, true, true
		return t
	}
	t.timed = c.late.Load() || p == tryingRing || rand.Uint32()%timedEvery == 0
	if t.path = p.path(); t.path == pathDirect && t.timed {
		c.step()
	}
	return c.take(t)
}

// take counts a direct call. More of them than the bound are more threads than the
// process should have.
func (c *chooser) take(t ticket) ticket {
	if t.path == pathDirect {
		bound := c.bound
		if phase(t.turn&phaseMask) == tryingDirect {
			bound = c.trial
		}
		if c.direct.Add(1) <= bound {
			return t
		}
		c.direct.Add(-1)
		t.path = pathRing
	}
	return t
}

// done counts the operation out.
func (c *chooser) done(t ticket) {
	if t.turn == c.phase.Load() {
		c.ended.Add(1)
	}
	c.underway.Add(-1)
	if t.path == pathDirect {
		c.direct.Add(-1)
	}
}

// observe takes in how long a timed ring operation took, and how much of that
// was added by scheduling: from its registration until it was handed to the
// kernel, and from its completion until its goroutine ran.
func (c *chooser) observe(t ticket, added, whole time.Duration) {
	if t.probe {
		c.observeProbe(added, whole)
		return
	}
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if late := added > suspectDelay; late != c.late.Load() {
		c.late.Store(late)
	}
	c.delay.add(float64(added))
	c.whole.add(float64(whole))
	if whole > 0 {
		c.share.add(float64(added) / float64(whole))
	}
	c.advance(c.clock())
}

// observeProbe takes in a probe.
func (c *chooser) observeProbe(added, whole time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	switch {
	case c.now() != onDirect:
	case added > suspectDelay && float64(added) > suspectShare*float64(whole):
		c.good = 0
		c.pause = min(max(2*c.pause, pauseFirst), pauseLast)
		c.tryAt = now + c.pause
	case c.good+1 < goodProbes:
		c.good++
		c.probe.Store(true)
	default:
		c.good = 0
		c.enter(tryingRing, now)
	}
}

// step moves the phases on without a measurement.
func (c *chooser) step() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	c.advance(c.clock())
}

func (c *chooser) advance(now time.Duration) {
	age := now - c.begun
	switch c.now() {
	case onRing:
		if c.measure(pathRing, now) && c.suspicious() && now >= c.tryAt {
			c.enter(tryingDirect, now)
		}
	case tryingDirect:
		if c.settling(now) || age < c.long(window) {
			return
		}
		if speed := c.speed(now); speed > directFaster*c.speeds[pathRing] {
			c.speeds[pathDirect] = speed
			c.change(onDirect, now)
			return
		}
		c.enter(onRing, now)
	case onDirect:
		if c.measure(pathDirect, now); now >= c.tryAt {
			c.tryAt = now + pauseLast // or when the probe has ended
			c.probe.Store(true)
		}
	case tryingRing:
		if c.settling(now) || age < hasty {
			return
		}
		speed := c.speed(now)
		switch {
		case speed < hopeless*c.speeds[pathDirect]:
			c.enter(onDirect, now)
		case age < c.long(window):
		case speed < ringAsFast*c.speeds[pathDirect]:
			c.enter(onDirect, now)
		default:
			c.speeds[pathRing] = speed
			c.change(onRing, now)
		}
	}
}

// suspicious tells whether scheduling is what ring operations spend much of their
// time with, for want of a free processor.
func (c *chooser) suspicious() bool {
	return c.load > suspectLoad && c.share.value > suspectShare && c.delay.value > float64(suspectDelay)
}

// enter begins a phase. A phase that is not a trial begins a pause, twice as
// long as the last one if a trial has failed.
func (c *chooser) enter(p phase, now time.Duration) {
	c.phase.Store((c.phase.Load()&^phaseMask + turnUnit) | uint64(p))
	c.begun, c.mark, c.spent = now, c.ended.Load(), c.used()
	switch p {
	case tryingDirect, tryingRing:
		c.trials.Add(1)
		c.begun += c.long(settle) // settling, until then
		return
	}
	c.pause = min(max(2*c.pause, pauseFirst), pauseLast)
	c.tryAt = now + c.pause
}

// now is the phase of this moment.
func (c *chooser) now() phase { return phase(c.phase.Load() & phaseMask) }

// long is twice what a ring operation takes, but no shorter than least.
func (c *chooser) long(least time.Duration) time.Duration {
	return max(least, min(time.Duration(2*c.whole.value), longest))
}

// change enters the other of the phases that are no trials.
func (c *chooser) change(p phase, now time.Duration) {
	c.flips.Add(1)
	c.delay.reset()
	c.share.reset()
	c.pause = 0
	c.enter(p, now)
}

// settling tells whether a trial's window has yet to begin, and begins it.
func (c *chooser) settling(now time.Duration) bool {
	if now < c.begun {
		c.mark = c.ended.Load()
		return true
	}
	return false
}

// speed is that of the window so far.
func (c *chooser) speed(now time.Duration) float64 {
	crowd := float64(max(c.crowd.Load(), 1)) / crowdUnit
	return float64(c.ended.Load()-c.mark) / float64(now-c.begun) / crowd
}

// measure ends a window, if it has lasted, and reports whether it says anything:
// the first one, and one in which nothing was done for a while, do not.
func (c *chooser) measure(p path, now time.Duration) bool {
	age := now - c.begun
	if age < c.long(window) && c.begun != 0 {
		return false
	}
	used := c.used()
	c.load = float64(used-c.spent) / float64(age) / float64(c.procs)
	ok := age < 2*c.long(window) && c.begun != 0
	if ok {
		c.speeds[p] = c.speed(now)
	}
	c.begun, c.mark, c.spent = now, c.ended.Load(), used
	return ok
}

// smoothed is an average that moves an eighth of the way to each new value.
type smoothed struct{ value float64 }

func (s *smoothed) add(v float64) { s.value += (v - s.value) / 8 }

func (s *smoothed) reset() { s.value = 0 }
