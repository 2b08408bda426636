package eddy

import (
	"math"
	"testing"
	"time"
)

// fakeDisk drives a chooser with a scripted machine: a number of callers, how
// long an operation takes on each path, and how much of that scheduling adds on
// the ring. Time is its own, so the tests are exact.
type fakeDisk struct {
	chooser
	now     time.Duration
	callers int
	latency [2]time.Duration
	added   time.Duration
	load    float64 // of the processors, by everybody in the process
	done    [2]int
}

func newFakeDisk(procs, callers int) *fakeDisk {
	d := &fakeDisk{callers: callers}
	d.load = 1
	d.init(fewOf(kindRead, false, procs), procs, func() time.Duration { return time.Duration(float64(d.now) * d.load * float64(procs)) })
	d.clock = func() time.Duration { return d.now }
	return d
}

// run lets the callers do operations back to back for a while. In flight at any
// moment are all of them, each with the path it was given at its start.
func (d *fakeDisk) run(length time.Duration) {
	type flight struct {
		ticket ticket
		until  time.Duration
	}
	flights := make([]flight, d.callers)
	for i := range flights {
		t := d.begin()
		flights[i] = flight{t, d.now + d.latency[t.path] + time.Duration(i)}
	}
	for end := d.now + length; d.now < end; {
		next := 0
		for i := range flights {
			if flights[i].until < flights[next].until {
				next = i
			}
		}
		f := &flights[next]
		d.now = f.until
		d.done[f.ticket.path]++
		if f.ticket.path == pathRing && f.ticket.timed {
			d.observe(f.ticket, d.added, d.latency[pathRing])
		}
		d.chooser.done(f.ticket)
		f.ticket = d.begin()
		f.until = d.now + d.latency[f.ticket.path]
	}
	for _, f := range flights {
		d.chooser.done(f.ticket)
	}
}

// share is the part of operations that took the path since the last call.
func (d *fakeDisk) share(p path) float64 {
	s := float64(d.done[p]) / float64(d.done[pathDirect]+d.done[pathRing])
	d.done = [2]int{}
	return s
}

func TestFewCallersAreNeverSentToTheRing(t *testing.T) {
	for callers := 1; callers <= 4; callers++ {
		d := newFakeDisk(2, callers)
		d.latency = [2]time.Duration{40 * time.Microsecond, 70 * time.Microsecond}
		d.run(time.Second)
		if s := d.share(pathDirect); s != 1 {
			t.Errorf("%d callers: %.3f of the operations were direct, want all", callers, s)
		}
	}
}

func TestManyCallersAreNotLeftOnTheDirectPath(t *testing.T) {
	for _, procs := range []int{1, 2} {
		d := newFakeDisk(procs, 32)
		d.latency = [2]time.Duration{450 * time.Microsecond, 200 * time.Microsecond}
		d.added = 30 * time.Microsecond
		d.run(2 * time.Second)
		if s := d.share(pathRing); s < 0.99 {
			t.Errorf("GOMAXPROCS %d: %.3f of the operations went to the ring, want nearly all", procs, s)
		}
		if n := d.trials.Load(); n != 0 {
			t.Errorf("GOMAXPROCS %d: %d trials on a quiet machine, each of which costs latency", procs, n)
		}
	}
}

// A saturated processor: scheduling makes the ring a hundred times slower.
func TestSaturatedProcessorDoesNotCollapseOnTheRing(t *testing.T) {
	d := newFakeDisk(2, 8)
	d.latency = [2]time.Duration{145 * time.Microsecond, 4400 * time.Microsecond}
	d.added = 4 * time.Millisecond
	d.run(time.Second) // finding out may take this long
	d.share(pathDirect)
	before := d.ended.Load()
	d.run(20 * time.Second)
	ideal := 20 * float64(time.Second) / float64(d.latency[pathDirect]) * 8
	if got := float64(d.ended.Load()-before) / ideal; got < 0.97 {
		t.Errorf("%.3f of the direct path's operations, want 0.97: trials cost too much", got)
	}
}

// Goroutines in long system calls hold others up, too, and direct calls would be
// faster there, by crowding them out, at many times the worst latency.
func TestLongSystemCallsAreNotTakenForASaturatedProcessor(t *testing.T) {
	d := newFakeDisk(2, 32)
	d.load = 0.4
	d.latency = [2]time.Duration{time.Millisecond, 1700 * time.Microsecond}
	d.added = 1300 * time.Microsecond
	d.run(10 * time.Second)
	if n := d.trials.Load(); n != 0 {
		t.Errorf("%d trials of direct calls though processors were free", n)
	}
}

func TestRingComesBackWhenTheProcessorIsFreeAgain(t *testing.T) {
	d := newFakeDisk(2, 32)
	d.latency = [2]time.Duration{500 * time.Microsecond, 6 * time.Millisecond}
	d.added = 5 * time.Millisecond
	d.run(10 * time.Second)
	if d.chooser.now().path() != pathDirect {
		t.Fatal("not on the direct path though the ring is twelve times slower")
	}
	d.latency = [2]time.Duration{450 * time.Microsecond, 200 * time.Microsecond}
	d.added = 20 * time.Microsecond
	d.run(pauseLast + 100*time.Millisecond)
	d.share(pathRing)
	d.run(time.Second)
	if s := d.share(pathRing); s < 0.99 {
		t.Errorf("%.3f of the operations on the ring a second after it became the faster path again", s)
	}
}

// Delay that is not the ring's fault (a thousand callers wait for one another)
// must not drive anybody to the slower path, nor cost more than a few trials.
func TestSuspicionAloneDoesNotLeaveTheRing(t *testing.T) {
	callers := 256
	if testing.Short() {
		callers = 64 // what they wait is the same
	}
	d := newFakeDisk(2, callers)
	d.latency = [2]time.Duration{3800 * time.Microsecond, 2500 * time.Microsecond}
	d.added = 1200 * time.Microsecond
	d.run(20 * time.Second)
	if s := d.share(pathRing); s < 0.97 {
		t.Errorf("%.3f of the operations on the ring, though it is the faster path", s)
	}
	if n := d.trials.Load(); n == 0 || n > 12 {
		t.Errorf("%d trials in 20 s, want some and at most 12", n)
	}
}

func TestDirectCallsAreBounded(t *testing.T) {
	d := newFakeDisk(2, 1000)
	d.phase.Store(uint64(onDirect))
	d.tryAt = math.MaxInt64
	d.latency = [2]time.Duration{time.Millisecond, time.Millisecond}
	for range 200 {
		d.begin() // the crowd comes to be seen as one
	}
	if n := d.direct.Load(); n > d.bound {
		t.Errorf("%d direct calls at once, want at most %d", n, d.bound)
	}
}

func TestEveryTicketIsCountedOut(t *testing.T) {
	d := newFakeDisk(2, 64)
	d.latency = [2]time.Duration{time.Millisecond, 5 * time.Millisecond}
	d.added = 4 * time.Millisecond
	d.run(3 * time.Second)
	if u, n := d.underway.Load(), d.direct.Load(); u != 0 || n != 0 {
		t.Errorf("%d operations and %d direct calls are still counted after all have ended", u, n)
	}
}

// The ring takes a few writes longer than plain calls do, and a few reads not.
func TestFewOperationsTakeTheSlowerPath(t *testing.T) {
	for _, c := range []struct {
		procs       int
		kind        transferKind
		abandonable bool
		others      int // under way
		want        path
	}{
		{2, kindRead, false, 4, pathDirect}, {2, kindRead, false, 6, pathRing},
		{2, kindWrite, false, 7, pathDirect}, {2, kindWrite, false, 9, pathRing},
		{2, kindWrite, true, 4, pathDirect}, {2, kindWrite, true, 6, pathRing},
		{2, kindSync, true, 4, pathDirect}, {2, kindSync, true, 6, pathRing},
		{1, kindRead, false, 0, pathDirect}, {1, kindRead, false, 2, pathRing},
		{1, kindWrite, false, 0, pathDirect}, {1, kindWrite, false, 2, pathRing},
		{1, kindWrite, true, 0, pathDirect}, {1, kindWrite, true, 2, pathRing},
	} {
		var e ringEngine
		e.initChoosers(c.procs, func() time.Duration { return 0 })
		ch := e.chooser(c.kind, c.abandonable)
		for k := range transferKind(kinds) { // of all others there are many
			for _, abandonable := range []bool{false, true} {
				for range 100 {
					if other := e.chooser(k, abandonable); other != ch {
						other.begin()
					}
				}
			}
		}
		for range c.others {
			ch.begin()
		}
		var got path
		for range 200 { // the crowd comes to be seen as one
			ticket := ch.begin()
			got = ticket.path
			ch.done(ticket)
		}
		if got != c.want {
			t.Errorf("%d processors, a %v (abandonable: %v) beside %d others: path %d, want %d", c.procs, c.kind, c.abandonable, c.others, got, c.want)
		}
	}
}
