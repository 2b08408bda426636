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

// chooser picks the path of each operation. While few are under way it is the
// direct one, by a count. While many are, it is the ring unless measurement has
// shown that the direct path is faster at this moment:
//
//	phase        path    until                                  then
//	-----------  ------  -------------------------------------  --------------
//	onRing       ring    scheduling is most of an operation's   tryingDirect
//	                     time, and the last trial is some time
//	                     ago
//	tryingDirect direct  a window is over                       onDirect if it
//	                                                            was faster,
//	                                                            else onRing
//	onDirect     direct  the last trial is some time ago        tryingRing
//	tryingRing   ring    a window is over, or it is clear       onRing if it was
//	                     before that it is slower               not slower,
//	                                                            else onDirect
//
// "Faster" compares speed: operations completed per second for each that is
// under way, which is the inverse of the mean latency (Little's law) and costs
// two counters to measure. At equal speed the ring is preferred, for it costs a
// quarter of the processor. Each trial that fails doubles the time to the next.
type chooser struct {
	few   int32 // up to so many under way, smoothed, the direct path is taken
	bound int32 // most direct calls at once; more go to the ring
	clock func() time.Duration

	underway atomic.Int32
	direct   atomic.Int32
	crowd    atomic.Int32  // operations under way, smoothed, times crowdUnit
	phase    atomic.Uint32 // phase
	ended    atomic.Uint64 // operations that have ended

	mu     sync.Mutex // guards what follows; whoever does not get it at once goes on
	begun  time.Duration
	mark   uint64        // ended, when the window began
	speeds [2]float64    // of each path, last measured
	delay  smoothed      // that scheduling adds to a ring operation
	share  smoothed      // of the whole operation, 0 to 1
	tryAt  time.Duration // no trial before then
	pause  time.Duration // between the last two trials

	directs, rings, trials, flips atomic.Uint64
}

// phase is what the chooser is doing while many operations are under way.
type phase uint32

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
	// which other goroutines occupy the processors. Operations that were begun
	// in the phase before settle first.
	settle = 5 * time.Millisecond
	window = 20 * time.Millisecond
	hasty  = 6 * time.Millisecond // when a trial may be given up as hopeless

	// When it is worth finding out whether the direct path is faster.
	suspectShare = 0.4
	suspectDelay = time.Millisecond

	// What counts as faster, and as hopeless.
	directFaster = 1.1
	ringAsFast   = 0.95
	hopeless     = 0.4

	pauseFirst = 500 * time.Millisecond
	pauseLast  = 4 * time.Second
)

// init sets the thresholds for a number of processors. On a single one the
// ring is submitted to and reaped on that processor, without a thread to switch
// to, and pays from two operations up.
func (c *chooser) init(procs int) {
	c.few, c.bound = 5, 128
	if procs == 1 {
		c.few = 1
	}
	c.clock = sinceStart
}

var start = time.Now()

func sinceStart() time.Duration { return time.Since(start) }

// ticket is one operation's choice, to be handed back with done.
type ticket struct {
	path  path
	timed bool // step, or observe, is wanted
}

// begin counts an operation in and picks its path.
func (c *chooser) begin() ticket {
	n := c.underway.Add(1)
	crowd := c.crowd.Load()
	crowd += (n*crowdUnit - crowd) / crowdStep
	c.crowd.Store(crowd) // a lost update is one operation's weight
	if crowd <= c.few*crowdUnit+crowdUnit/2 {
		return c.take(ticket{path: pathDirect})
	}
	t := ticket{timed: rand.Uint32()%timedEvery == 0}
	if t.path = phase(c.phase.Load()).path(); t.path == pathDirect && t.timed {
		c.step()
	}
	return c.take(t)
}

// take counts an operation on its path. More direct calls than the bound are
// more threads than the process should have.
func (c *chooser) take(t ticket) ticket {
	if t.path == pathDirect {
		if c.direct.Add(1) <= c.bound {
			c.directs.Add(1)
			return t
		}
		c.direct.Add(-1)
		t.path = pathRing
	}
	c.rings.Add(1)
	return t
}

// done counts the operation out.
func (c *chooser) done(t ticket) {
	c.ended.Add(1)
	c.underway.Add(-1)
	if t.path == pathDirect {
		c.direct.Add(-1)
	}
}

// observe takes in how long a timed ring operation took, and how much of that
// was added by scheduling: from its registration until it was handed to the
// kernel, and from its completion until its goroutine ran.
func (c *chooser) observe(added, whole time.Duration) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	c.delay.add(float64(added))
	if whole > 0 {
		c.share.add(float64(added) / float64(whole))
	}
	c.advance(c.clock())
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
	switch phase(c.phase.Load()) {
	case onRing:
		if age < window {
			return
		}
		c.measure(pathRing, now)
		if c.suspicious() && now >= c.tryAt {
			c.enter(tryingDirect, now)
		}
	case tryingDirect:
		if c.settling(now) || age < window {
			return
		}
		if c.measure(pathDirect, now); c.speeds[pathDirect] > directFaster*c.speeds[pathRing] {
			c.change(onDirect, now)
			return
		}
		c.enter(onRing, now)
	case onDirect:
		if age < window {
			return
		}
		if c.measure(pathDirect, now); now >= c.tryAt {
			c.enter(tryingRing, now)
		}
	case tryingRing:
		if c.settling(now) || age < hasty {
			return
		}
		speed := c.speed(now)
		switch {
		case speed < hopeless*c.speeds[pathDirect]:
			c.enter(onDirect, now)
		case age < window:
		case speed < ringAsFast*c.speeds[pathDirect]:
			c.enter(onDirect, now)
		default:
			c.speeds[pathRing] = speed
			c.change(onRing, now)
		}
	}
}

// suspicious tells whether scheduling is what ring operations spend their time
// with.
func (c *chooser) suspicious() bool {
	return c.share.value > suspectShare && c.delay.value > float64(suspectDelay)
}

// enter begins a phase. A phase that is not a trial begins a pause, twice as
// long as the last one if a trial has failed.
func (c *chooser) enter(p phase, now time.Duration) {
	c.phase.Store(uint32(p))
	c.begun, c.mark = now, c.ended.Load()
	switch p {
	case tryingDirect, tryingRing:
		c.trials.Add(1)
		c.begun += settle // settling, until then
		return
	}
	c.pause = min(max(2*c.pause, pauseFirst), pauseLast)
	c.tryAt = now + c.pause
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

// measure ends a window.
func (c *chooser) measure(p path, now time.Duration) {
	c.speeds[p] = c.speed(now)
	c.begun, c.mark = now, c.ended.Load()
}

// smoothed is an average that moves an eighth of the way to each new value.
type smoothed struct{ value float64 }

func (s *smoothed) add(v float64) { s.value += (v - s.value) / 8 }

func (s *smoothed) reset() { s.value = 0 }
