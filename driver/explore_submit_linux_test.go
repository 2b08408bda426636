//go:build linux && explore

package driver

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scenario is a model: what there is, and what may happen.
type scenario struct {
	name     string
	kernel   scriptedKernel
	jobs     []plan
	mode     SubmitMode
	depth    int
	slots    int
	shutdown bool
	expires  bool // the shutdown's time
	fine     bool
	hold     bool // the callers wait in the kernel
}

func (s *scenario) build(r *run) {
	k := s.kernel
	if k.size == 0 {
		k.size = 4
	}
	if k.cqSize == 0 {
		k.cqSize = 8
	}
	k.faults = append([]unix.Errno(nil), k.faults...)
	jobs := make([]*job, len(s.jobs))
	for i, p := range s.jobs {
		jobs[i] = &job{plan: p, name: i + 1}
	}
	w := newWorld(r, &k, jobs)
	depth, slots := s.depth, s.slots
	if depth == 0 {
		depth = 2
	}
	if slots == 0 {
		slots = 2
	}
	switch {
	case s.hold:
		w.lend(slots)
	case s.mode == SubmitThread:
		w.spin(depth, slots)
	default:
		w.share(depth, slots)
	}
	w.kernel()
	w.owners()
	if s.shutdown {
		w.shutdown(s.expires)
	}
}

// explore visits all schedules of a model.
func explore(t *testing.T, build func(*run), fine bool) *search {
	t.Helper()
	began := time.Now()
	e := &search{t: t, build: build, fine: fine}
	schedules := e.explore()
	t.Logf("%d states, %d steps, %s schedules of up to %d choices, %d runs, %d loops, %v", e.states, e.steps, count(schedules), e.longest, e.runs, e.cycles, time.Since(began).Round(time.Millisecond))
	return e
}

// scenarios are in the order in which they are explored: a mistake should be
// found by a small one.
var scenarios = []scenario{
	// The shared mode, step by step: what takes the lock, what the kernel does.
	{name: "shared: one", jobs: []plan{{}}},
	{name: "shared: two", jobs: []plan{{}, {}}},
	{name: "shared: one that may be left", jobs: []plan{{leaves: true, opens: true}}},
	{name: "shared: two that may be left", jobs: []plan{{leaves: true, opens: true}, {leaves: true, hangs: true}}},
	{name: "shared: two that may be cancelled", jobs: []plan{{asked: true, hangs: true}, {asked: true, opens: true}}},
	{name: "shared: several completions each", jobs: []plan{{mores: 1, early: true}, {}}},
	{name: "shared: answered twice", kernel: scriptedKernel{twice: 1}, jobs: []plan{{}, {after: 1}}},
	{name: "shared: small queue", kernel: scriptedKernel{size: 1}, jobs: []plan{{}, {leaves: true}}},
	{name: "shared: overflow", kernel: scriptedKernel{cqSize: 1}, jobs: []plan{{}, {}, {after: 1}}},
	{name: "shared: cooperative", kernel: scriptedKernel{when: coop}, jobs: []plan{{}, {}}},
	{name: "shared: EINTR", kernel: scriptedKernel{faults: []unix.Errno{unix.EINTR}}, jobs: []plan{{}, {opens: true}}},
	{name: "shared: EAGAIN", kernel: scriptedKernel{faults: []unix.Errno{unix.EAGAIN}}, jobs: []plan{{}, {opens: true}}},
	{name: "shared: EBUSY", kernel: scriptedKernel{faults: []unix.Errno{unix.EBUSY}}, jobs: []plan{{}, {leaves: true}}},
	{name: "shared: EINVAL", kernel: scriptedKernel{faults: []unix.Errno{unix.EINVAL}}, jobs: []plan{{}, {opens: true}}},
	{name: "shared: short count", kernel: scriptedKernel{short: 1}, jobs: []plan{{}, {opens: true}}},
	{name: "shared: all at once", kernel: scriptedKernel{faults: []unix.Errno{unix.EINTR, unix.EBUSY, unix.ENOMEM}, short: 1, unasked: 1, cqSize: 1}, jobs: []plan{{leaves: true, opens: true}}},
	{name: "shared: lost or not", kernel: scriptedKernel{faults: []unix.Errno{unix.EBADR}}, jobs: []plan{{early: true}, {opens: true}}},
	{name: "shared: lost", kernel: scriptedKernel{faults: []unix.Errno{unix.EBADR}, losing: true}, jobs: []plan{{early: true}, {}}},
	{name: "shared: cancelled unasked", kernel: scriptedKernel{unasked: 1}, jobs: []plan{{leaves: true}, {opens: true}}},
	{name: "shared: cancel that misses", kernel: scriptedKernel{blind: 2}, jobs: []plan{{leaves: true, hangs: true}, {asked: true, hangs: true}}},
	{name: "shared: shutdown of one", jobs: []plan{{leaves: true, opens: true}}, shutdown: true},
	{name: "shared: shutdown after a loss", kernel: scriptedKernel{faults: []unix.Errno{unix.EBADR}, losing: true}, jobs: []plan{{}}, shutdown: true},
	{name: "shared: shutdown of one that hangs", jobs: []plan{{hangs: true}}, shutdown: true},
	{name: "shared: shutdown that expires", kernel: scriptedKernel{deaf: true}, jobs: []plan{{hangs: true, early: true}}, shutdown: true, expires: true},
	{name: "shared: shutdown whose cancels miss", kernel: scriptedKernel{blind: 2, size: 1}, jobs: []plan{{hangs: true}, {hangs: true}}, shutdown: true},
	{name: "shared: shutdown with a full queue", kernel: scriptedKernel{size: 1, faults: []unix.Errno{unix.EAGAIN}}, jobs: []plan{{hangs: true}, {hangs: true}}, shutdown: true},
	{name: "shared: cancelled unasked, shutdown", kernel: scriptedKernel{size: 1, unasked: 1, faults: []unix.Errno{unix.EAGAIN}}, jobs: []plan{{hangs: true}}, shutdown: true},
	{name: "shared: three paced, one at a time", jobs: []plan{{paced: true}, {paced: true}, {paced: true}}, depth: 1},
	{name: "shared: three, the third reuses a slot", kernel: scriptedKernel{twice: 1}, jobs: []plan{{}, {}, {after: 1}}},
	{name: "shared: three in two slots", jobs: []plan{{}, {}, {}}},

	// The thread mode.
	{name: "thread: one", jobs: []plan{{}}, mode: SubmitThread},
	{name: "thread: three in two slots", jobs: []plan{{}, {}, {}}, mode: SubmitThread},
	{name: "thread: two that may be left", jobs: []plan{{leaves: true, opens: true}, {leaves: true, hangs: true}}, mode: SubmitThread},
	{name: "thread: deferred, short, interrupted", kernel: scriptedKernel{when: deferred, short: 1, faults: []unix.Errno{unix.EINTR}}, jobs: []plan{{}, {asked: true, hangs: true}}, mode: SubmitThread},
	{name: "thread: refused", kernel: scriptedKernel{when: deferred, faults: []unix.Errno{unix.EINVAL, unix.EBUSY}}, jobs: []plan{{}, {}}, mode: SubmitThread},
	{name: "thread: the poll ends", kernel: scriptedKernel{cut: 1}, jobs: []plan{{}, {after: 1}}, mode: SubmitThread},
	{name: "thread: cancel that misses", kernel: scriptedKernel{blind: 2, when: deferred}, jobs: []plan{{leaves: true, hangs: true}, {asked: true, hangs: true}}, mode: SubmitThread},
	{name: "thread: shutdown whose cancels miss", kernel: scriptedKernel{blind: 2, when: deferred}, jobs: []plan{{hangs: true}, {hangs: true}}, mode: SubmitThread, shutdown: true},
	{name: "thread: shutdown of two", kernel: scriptedKernel{when: deferred}, jobs: []plan{{hangs: true}, {leaves: true, opens: true}}, mode: SubmitThread, shutdown: true},
	{name: "thread: shutdown that expires", kernel: scriptedKernel{deaf: true, when: deferred}, jobs: []plan{{hangs: true}, {}}, mode: SubmitThread, shutdown: true, expires: true},

	// Holds.
	{name: "hold: one", hold: true, jobs: []plan{{}}},
	{name: "hold: two", hold: true, jobs: []plan{{}, {opens: true}}},
	{name: "hold: one that may be left", hold: true, jobs: []plan{{leaves: true, opens: true, early: true}}},
	{name: "hold: cancel that misses", kernel: scriptedKernel{blind: 2}, hold: true, jobs: []plan{{asked: true, hangs: true}}},
	{name: "hold: one that may be cancelled", hold: true, jobs: []plan{{asked: true, hangs: true}}},

	// The same, atomic operation by atomic operation.
	{name: "fine: shared, one that may be cancelled", jobs: []plan{{asked: true, hangs: true}}, fine: true},
	{name: "fine: shared, one that may be left", jobs: []plan{{leaves: true, opens: true}}, fine: true},
	{name: "fine: thread, one that may be left", jobs: []plan{{leaves: true, opens: true}}, mode: SubmitThread, fine: true},
	{name: "fine: thread, one", jobs: []plan{{}}, mode: SubmitThread, fine: true},
	{name: "fine: thread, shutdown", jobs: []plan{{}}, mode: SubmitThread, fine: true, shutdown: true},
	{name: "fine: thread, shutdown that expires", kernel: scriptedKernel{when: deferred}, jobs: []plan{{}}, mode: SubmitThread, fine: true, shutdown: true, expires: true},
	{name: "fine: thread, two", jobs: []plan{{}, {}}, mode: SubmitThread, fine: true},
}

// long are those that take a minute and more; EDDY_EXPLORE=all explores them, too.
var long = []scenario{
	{name: "shared: cancelled unasked with a full queue, shutdown", kernel: scriptedKernel{size: 1, unasked: 1, faults: []unix.Errno{unix.EAGAIN}}, jobs: []plan{{hangs: true}, {hangs: true}}, shutdown: true},
	{name: "shared: shutdown of two", jobs: []plan{{}, {leaves: true, opens: true}}, shutdown: true},
	{name: "shared: shutdown of three in two slots", jobs: []plan{{}, {}, {}}, shutdown: true},
	{name: "shared: shutdown of three in two slots, one left, one cancelled", jobs: []plan{{leaves: true, opens: true}, {asked: true, hangs: true}, {}}, shutdown: true},
	{name: "shared: three that may be left", jobs: []plan{{leaves: true, opens: true}, {leaves: true}, {after: 1}}},
	{name: "thread: shutdown of three in two slots", kernel: scriptedKernel{when: deferred}, jobs: []plan{{leaves: true, opens: true}, {}, {}}, mode: SubmitThread, shutdown: true},
	{name: "hold: shutdown", hold: true, jobs: []plan{{hangs: true, opens: true}}, shutdown: true},
	{name: "hold: shutdown that expires", hold: true, kernel: scriptedKernel{deaf: true}, jobs: []plan{{hangs: true}}, shutdown: true, expires: true},
	{name: "fine: shared, shutdown that expires", jobs: []plan{{}}, fine: true, shutdown: true, expires: true},
	{name: "fine: shared, two", jobs: []plan{{}, {leaves: true, opens: true}}, fine: true},
	{name: "fine: thread, shutdown of two", jobs: []plan{{}, {}}, mode: SubmitThread, fine: true, shutdown: true},
	{name: "fine: thread, three", jobs: []plan{{}, {}, {}}, mode: SubmitThread, fine: true},
}

// TestExploreAgreesWithPlainEnumeration counts the schedules of small models
// one by one, following every state however often it was seen. If a state left
// something out that matters, the count over states would not come to the same.
func TestExploreAgreesWithPlainEnumeration(t *testing.T) {
	for _, s := range []scenario{
		{name: "two", jobs: []plan{{}, {}}},
		{name: "one leaves", jobs: []plan{{leaves: true, opens: true}}},
		{name: "one asked", jobs: []plan{{asked: true, hangs: true}}},
		{name: "one fine", jobs: []plan{{}}, fine: true},
		{name: "refused", jobs: []plan{{}}, kernel: scriptedKernel{faults: []unix.Errno{unix.EINVAL, unix.EINTR}}},
		{name: "thread two", jobs: []plan{{}, {}}, mode: SubmitThread},
		{name: "thread leaves", jobs: []plan{{leaves: true, opens: true}}, mode: SubmitThread},
	} {
		t.Run(s.name, func(t *testing.T) { agree(t, s.build, s.fine) })
	}
}

// TestExploreLeavesOutNoOutcome explores small models with all their schedules,
// those that the search takes to be the same as others among them. Nothing else
// may come of it.
func TestExploreLeavesOutNoOutcome(t *testing.T) {
	for _, s := range []scenario{
		{name: "two", jobs: []plan{{}, {}}},
		{name: "two in one slot", jobs: []plan{{}, {}}, slots: 1},
		{name: "two, one of which may be left", jobs: []plan{{leaves: true, opens: true}, {}}},
		{name: "one that is asked", jobs: []plan{{asked: true, opens: true}}},
		{name: "cancelled unasked", jobs: []plan{{leaves: true}}, kernel: scriptedKernel{unasked: 1}},
		{name: "refused", jobs: []plan{{}, {}}, kernel: scriptedKernel{faults: []unix.Errno{unix.EINVAL}}},
		{name: "shutdown", jobs: []plan{{opens: true}}, shutdown: true},
		{name: "shutdown that expires", jobs: []plan{{}}, shutdown: true, expires: true},
		{name: "thread", jobs: []plan{{leaves: true, opens: true}, {}}, mode: SubmitThread},
		{name: "thread, shutdown", jobs: []plan{{leaves: true, opens: true}}, mode: SubmitThread, shutdown: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			some := &search{t: t, build: s.build, outcomes: map[string]bool{}}
			all := &search{t: t, build: s.build, outcomes: map[string]bool{}, whole: true}
			some.explore()
			all.explore()
			if !maps.Equal(some.outcomes, all.outcomes) {
				t.Errorf("%d outcomes of %d", len(some.outcomes), len(all.outcomes))
			}
			t.Logf("%d outcomes of %d states instead of %d", len(all.outcomes), some.states, all.states)
		})
	}
}

func agree(t *testing.T, build func(*run), fine bool) {
	t.Helper()
	merged := &search{t: t, build: build, fine: fine}
	plain := &search{t: t, build: build, fine: fine, apart: true}
	if got, want := merged.explore(), plain.explore(); got != want {
		t.Errorf("%s schedules over states, %s one by one", count(got), count(want))
	}
	t.Logf("%d runs instead of %d", merged.runs, plain.runs)
}

// TestExploreEverySchedule visits all schedules of all scenarios.
func TestExploreEverySchedule(t *testing.T) {
	list := scenarios
	if os.Getenv("EDDY_EXPLORE") == "all" {
		list = append(slices.Clone(list), long...)
	}
	states, steps := 0, 0
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			e := explore(t, s.build, s.fine)
			states += e.states
			steps += e.steps
		})
	}
	t.Logf("%d scenarios, %d states, %d steps", len(list), states, steps)
}
