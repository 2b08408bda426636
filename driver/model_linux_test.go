//go:build linux && explore

package driver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/uring"
)

// plan is what may become of a request, and what its owner does.
type plan struct {
	opens   bool    // yields a descriptor
	results []int32 // what the kernel may answer in the end
	mores   int     // completions before the last
	hangs   bool    // is completed only when it is to be cancelled
	early   bool    // the kernel may write at any time before
	paced   bool
	leaves  bool // the owner may give up at any time
	asked   bool // somebody may ask for it to be cancelled, at any time
	after   int  // registers only when that one is through
}

// job is a request of the model and its owner.
type job struct {
	plan
	name       int
	kind       string // requests of one kind differ in name only
	first      bool   // it is being registered, or has been
	op         Op
	buffer     *[8]byte
	opened     []int
	took       []int   // descriptors that were closed or delivered
	answers    []int32 // of the kernel, in order
	told       int32   // what its owner was
	lost       bool    // one of them
	released   int
	began      bool
	asking     bool
	left       bool
	late       bool // it came after a shutdown's time was over
	refused    bool
	collected  bool
	collecting bool
}

func (j *job) String() string { return fmt.Sprintf("request %d", j.name) }

// settled says that what the request owns is its owner's.
func (j *job) settled() bool { return j.released > 0 }

// through says that its owner is out of it.
func (j *job) through() bool { return j.left || j.refused || j.collected }

// result is the n-th of several completions.
func (j *job) result(n int) int32 { return int32(100*j.name + n) }

const canary = 0xa5

// scribble is the kernel writing into the buffer.
func (j *job) scribble(r *run) {
	if j.settled() {
		r.failf("the kernel wrote into the buffer of %s after it was given back", j)
	}
	if !pinned(&j.op) && !r.model.(*world).lossy() {
		r.failf("the kernel wrote into the buffer of %s, which is not pinned", j)
	}
	j.buffer[0] = byte(j.name)
}

// pinned is whether the driver keeps the memory in its place. A request that
// was lost has handed that over to its twin.
func pinned(o *Op) bool { return o.pinner != (runtime.Pinner{}) }

// lossy says that the kernel may say that it has lost completions.
func (w *world) lossy() bool { return slices.Contains(w.struck, unix.EBADR) }

// world is a model: some requests, a kernel, and the driver between them.
type world struct {
	r      *run
	h      *Handle `state:"-"`
	jobs   []*job
	k      *scriptedKernel
	shared *shared
	thread *thread
	holds  *holds
	hold   *hold // the one that holds has, if there is no other ring
	ctx    *modelContext

	ends     bool // somebody shuts down
	watched  bool // the registry has the ring's descriptor
	down     bool // shutdown was called
	finished bool // and has returned
	stuck    int
	struck   []unix.Errno // faults there may be
}

// modelContext ends when the explorer likes.
type modelContext struct {
	r       *run
	expired bool
}

func (c *modelContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *modelContext) Done() <-chan struct{} { return nil }

func (c *modelContext) Value(any) any { return nil }

func (c *modelContext) Err() error {
	c.r.step("looks at the context")
	if c.expired {
		return context.DeadlineExceeded
	}
	return nil
}

// resource is what a request holds: itself, for the model to see it let go.
type resource struct {
	r *run
	j *job
}

func (s *resource) Release() {
	w, j := s.r.model.(*world), s.j
	j.released++
	if j.released > 1 {
		s.r.failf("what %s holds was released twice", j)
	}
	for _, c := range w.k.has {
		if c.job == j {
			s.r.failf("what %s holds was released while the kernel has it", j)
		}
	}
	if !j.collecting {
		j.buffer[0] = canary
	}
}

func newWorld(r *run, k *scriptedKernel, jobs []*job) *world {
	w := &world{r: r, k: k, jobs: jobs, ctx: &modelContext{r: r}, struck: slices.Clone(k.faults)}
	r.model = w
	k.r = r
	w.h = &Handle{}
	w.h.state.Store(uint32(StateInitialized))
	w.holds = newHolds(1, &w.h.counters, openRing, func(int) error { w.watched = true; k.ready = true; return nil }, func(int) { w.watched = false })
	w.h.holds = w.holds
	for _, j := range jobs {
		w.prepare(j)
	}
	r.check, r.last, r.outcome = w.check, w.last, w.outcome
	r.local, r.idle = w.local, w.idle
	r.added = k.eventAdd
	r.closed = w.closed
	r.end = w.unpin
	quarantine.contexts = quarantine.contexts[:0]
	return w
}

// local says that whenever an actor makes its next step, others can do the same
// before and after it, and both come to the same.
func (w *world) local(a *actor) bool {
	switch a.where {
	case "takes the result", "waits": // it is completed, and nobody's but the owner's
		return true
	case "wake": // a token for one who waits; whoever leaves instead leaves it
		return w.thread == nil // which goes on to look at its stack in the same step
	case "kick": // a token for the flusher; if that has ended, it is left
		return true
	case "parks", "parks, or leaves": // what has completed is past all races
		return Lifecycle(a.job.op.state.v.Load()) == Completed
	case "asks": // for what nobody has any more
		return a.job.through()
	case "registers": // too late: it is refused
		return w.shared != nil && w.shared.closed && !w.shared.mu.held
	}
	return false
}

// idle is about a shutdown that waits for the kernel: a turn does nothing while
// there is nothing queued and nothing to reap.
func (w *world) idle(where string) func() bool {
	if where != "drain" || w.shared == nil {
		return func() bool { return false }
	}
	u := &w.shared.context
	return func() bool {
		news := len(w.k.queue) + len(w.k.cq) + len(w.k.flood) + len(w.k.work)
		return news == 0 && !u.uncancelled && u.again == nil && u.woken == nil && !u.drained() && !w.ctx.expired
	}
}

func (w *world) prepare(j *job) {
	j.kind = fmt.Sprintf("%+v", j.plan)
	j.buffer = new([8]byte)
	if j.opens {
		j.op.YieldsFd = true
	}
	j.op.Paced = j.paced
	j.op.Hold = &resource{w.r, j}
	j.op.Entry.PrepRead(3, j.buffer[:], uint64(j.name))
	j.op.Entry.Addr = uint64(j.name) // an address would be another state in each run
	j.op.OwnBytes(j.buffer[:])
	if j.results == nil {
		j.results = []int32{int32(100 * j.name)}
		if j.opens {
			j.results[0] += 10000
		}
	}
}

// job is the request an entry stands for.
func (w *world) job(sqe uring.SQE) *job {
	for _, j := range w.jobs {
		if uint64(j.name) == sqe.Off {
			return j
		}
	}
	return nil
}

// share gives the world a ring in the shared mode.
func (w *world) share(depth, slots int) {
	s := &shared{kick: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	s.context = UringContext{ring: w.k, counters: &w.h.counters, depth: depth}
	s.context.ops.SetLimit(slots)
	w.shared, w.h.uring, w.watched = s, s, true
	w.k.started = true
	w.r.actor("flusher", always, s.flush)
	w.loop()
}

// spin gives the world a ring in the thread mode.
func (w *world) spin(depth, slots int) {
	t := &thread{wakefd: sys.NewFD(-1), ended: make(chan struct{})}
	t.context = UringContext{ring: w.k, counters: &w.h.counters, depth: depth}
	t.context.ops.SetLimit(slots)
	t.asleep.Entry.Off, t.shut.Entry.Off = 1001, 1002 // names, see observed
	w.thread, w.h.uring = t, t
	w.r.actor("thread", always, func() {
		if err := t.arm(); err != nil {
			w.r.failf("arm: %v", err)
		}
		w.k.started = true
		t.loop()
		close(t.ended)
	})
}

// lend gives the world no ring but that of a hold.
func (w *world) lend(slots int) {
	h := &hold{pool: w.holds}
	h.context = UringContext{ring: w.k, counters: &w.h.counters, depth: holdEntries}
	h.context.ops.SetLimit(slots)
	w.holds.free, w.holds.made = []*hold{h}, 1
	w.hold, w.h.uring = h, noRing{w.holds}
	w.k.started, w.k.clocked = true, true
	w.loop()
}

// noRing is what a handle has that lends holds and nothing else.
type noRing struct{ holds *holds }

func (noRing) register(*Op) error { return ErrNoRing }

func (noRing) cancel(*Op) {}

func (noRing) turn() {}

func (n noRing) shutdown(ctx context.Context) []Stuck { return n.holds.shutdown(ctx) }

// loop is the owner of the driver, who turns it when the ring's descriptor is
// readable.
func (w *world) loop() {
	w.r.actor("loop", always, func() {
		for {
			w.r.rest("turns", func() bool { return w.watched && w.k.ready })
			w.k.ready = false
			w.h.dispatchCompletions()
		}
	})
}

func (w *world) kernel() { w.r.actor("kernel", always, w.k.act) }

// contexts are the rings there are.
func (w *world) context() *UringContext {
	switch {
	case w.shared != nil:
		return &w.shared.context
	case w.thread != nil:
		return &w.thread.context
	}
	return &w.hold.context
}

// owners are the submitters, one for each request, and those who ask for a
// request to be cancelled.
func (w *world) owners() {
	for _, j := range w.jobs {
		w.r.actor(fmt.Sprint("owner ", j.name), func() bool { return w.keeps(j) }, func() { w.own(j) }).job = j
	}
	for _, j := range w.jobs {
		if j.asked {
			w.r.actor(fmt.Sprint("asker ", j.name), always, func() {
				w.r.rest("asks", func() bool { return j.op.home != nil })
				j.asking = true
				w.h.RequestCancel(&j.op)
			}).job = j
		}
	}
}

func always() bool { return true }

func never() bool { return false }

// keeps says that the kernel has the request for good, or had it until the time
// was over, and that a shutdown has said so: its owner goes on waiting.
func (w *world) keeps(j *job) bool {
	has := slices.ContainsFunc(w.k.has, func(c *claim) bool { return c.job == j })
	return w.finished && w.stuck > 0 && (has || j.late)
}

// own is what a goroutine does that wants something done.
func (w *world) own(j *job) {
	w.r.rest("registers", w.mayRegister(j))
	j.first = true
	if w.hold != nil {
		if _, err := w.h.HoldOp(time.Millisecond, &j.op); err == nil {
			j.began = true
			w.await(j)
			return
		}
	}
	if err := w.h.RegisterOp(&j.op); err != nil {
		j.refused = true
		if errors.Is(err, ErrShutdown) && w.down || errors.Is(err, ErrNoRing) && w.hold != nil || errors.Is(err, unix.EAGAIN) && w.full() || w.fault(err) {
			return
		}
		w.r.failf("%s was refused: %v", j, err)
	}
	j.began = true
	w.await(j)
}

// mayRegister is what an owner waits for before it registers. Of requests that
// are alike the first to be registered is called the first: which of them it is
// makes no difference.
func (w *world) mayRegister(j *job) func() bool {
	if j.after > 0 {
		return w.jobs[j.after-1].through
	}
	if i := j.name - 2; i >= 0 && !w.r.whole && w.alike(w.jobs[i], j) {
		return func() bool { return w.jobs[i].first }
	}
	return nil
}

// alike says that two requests differ in name only.
func (w *world) alike(a, b *job) bool {
	if a.after+b.after > 0 || slices.ContainsFunc(w.jobs, func(j *job) bool { return j.after == a.name || j.after == b.name }) {
		return false
	}
	return a.kind == b.kind
}

// full says that not all requests have room.
func (w *world) full() bool { return w.context().ops.Limit() < len(w.jobs) }

// fault says that the error is one that the kernel was to answer.
func (w *world) fault(err error) bool {
	for _, e := range w.struck {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (w *world) await(j *job) {
	o := &j.op
	if j.leaves {
		w.r.rest("parks, or leaves", nil)
		if w.r.choose(2) == 1 {
			w.r.note("leaves")
			if w.leave(j) {
				return
			}
			w.collect(j)
			return
		}
	} else {
		w.r.rest("parks", nil)
	}
	if o.Park() {
		arrived := func() bool { return len(o.done) > 0 }
		if j.leaves {
			w.r.rest("waits, or leaves", nil)
			if !arrived() || w.r.choose(2) == 1 {
				w.r.note("leaves")
				if w.leave(j) {
					return
				}
			}
		}
		w.r.rest("waits", arrived)
		<-o.done
	}
	w.collect(j)
}

func (w *world) leave(j *job) bool {
	j.asking = true
	if !w.h.CancelOp(&j.op) {
		return false
	}
	j.left = true
	w.r.note("is out of it")
	return true
}

func (w *world) collect(j *job) {
	w.r.rest("takes the result", nil)
	for _, c := range w.k.has {
		if c.job == j && !w.lossy() {
			w.r.failf("%s was answered while the kernel has it", j)
		}
	}
	j.collecting = true
	res, _ := j.op.Result()
	j.collecting, j.collected = false, true
	w.judge(j, res)
	j.told = res
	if j.opens && res >= 0 {
		j.took = append(j.took, int(res))
	}
	if j.released == 0 {
		if !w.lossy() || unix.Errno(-res) != unix.EBADR {
			w.r.failf("%s was not given back with its result, %d", j, res)
		}
		return
	}
	if res >= 0 && j.buffer[0] != byte(j.name) {
		w.r.failf("%s has %#x in its buffer", j, j.buffer[0])
	}
	j.buffer[0] = canary
}

// judge says whether a result is one that the owner may be told.
func (w *world) judge(j *job, res int32) {
	errno := unix.Errno(-res)
	switch {
	case res >= 0 && j.mores > 0 && len(j.answers) > 0 && res == j.answers[0]:
	case res >= 0 && j.mores == 0 && len(j.answers) > 0 && res == j.answers[len(j.answers)-1]:
	case res < 0 && errno == unix.ECANCELED && (j.asking || w.down):
	case res < 0 && errno == unix.EAGAIN && w.full():
	case res < 0 && slices.Contains(w.struck, errno):
	case res < 0 && errno != unix.ECANCELED && len(j.answers) > 0 && res == j.answers[len(j.answers)-1]:
	default:
		w.r.failf("the owner of %s was told %d, the kernel has said %v", j, res, j.answers)
	}
}

// closed is the driver disposing of a descriptor.
func (w *world) closed(fd int) {
	for _, j := range w.jobs {
		if slices.Contains(j.opened, fd) {
			if slices.Contains(j.took, fd) {
				w.r.failf("the descriptor of %s was closed after it was closed or delivered", j)
			}
			j.took = append(j.took, fd)
			return
		}
	}
	w.r.failf("descriptor %d was closed, which the kernel has not made", fd)
}

// shutdown adds those who end it all.
func (w *world) shutdown(expires bool) {
	w.ends = true
	w.r.actor("shutdown", never, func() {
		w.r.rest("shuts down", nil)
		w.down = true
		stuck := w.h.uring.shutdown(w.ctx)
		if !w.ctx.expired && len(stuck) > 0 && len(w.struck) == 0 {
			w.r.failf("shutdown gave up %d requests before its time was over", len(stuck))
		}
		w.stuck, w.finished = len(stuck), true
	})
	if expires {
		w.r.actor("clock", always, func() {
			w.r.rest("the time is over", func() bool { return w.down && !w.finished })
			w.ctx.expired = true
		})
	}
}

// check holds after each step: no slot is free that the kernel knows of.
func (w *world) check() {
	u := w.context()
	for _, c := range w.k.has {
		w.owned(u, c.sqe.UserData, c.job)
	}
	for _, sqe := range w.k.queue {
		if sqe.UserData&tagMask == tagOp && sqe.Opcode != uring.OpNop && sqe.UserData != 0 {
			w.owned(u, sqe.UserData, w.job(*sqe))
		}
	}
}

func (w *world) owned(u *UringContext, data uint64, j *job) {
	slot, ok := u.ops.Get(slab.Key(data &^ tagMask))
	if !ok {
		w.r.failf("the slot of %s was freed while the kernel owns it", j)
	}
	if *slot != &j.op && !(*slot).lost {
		w.r.failf("the slot of %s has another owner while the kernel owns it", j)
	}
}

// last holds when nobody can go on.
func (w *world) last() {
	u := w.context()
	gone, lost := w.stuck, 0
	for _, j := range w.jobs {
		if !j.began && !j.refused {
			continue
		}
		switch {
		case j.released == 1:
		case j.lost:
			lost++
			continue
		case gone > 0:
			gone--
			continue
		default:
			w.r.failf("what %s holds was never released", j)
		}
		for _, fd := range j.opened {
			n := 0
			for _, t := range j.took {
				if t == fd {
					n++
				}
			}
			if n != 1 {
				w.r.failf("the descriptor of %s was delivered or closed %d times", j, n)
			}
		}
		if j.buffer[0] != canary {
			w.r.failf("the buffer of %s was written to after it was given back", j)
		}
	}
	back := 0 // after they had been given up
	for _, j := range w.jobs {
		if j.late && j.released == 1 {
			back++
		}
	}
	if n := u.ops.Len(); n > max(w.stuck, lost) || n < max(w.stuck-back, lost) {
		w.r.failf("%d slots are taken at the end, %d requests are stuck", n, w.stuck)
	}
	if n := w.h.counters.inFlight.Load(); int(n) != u.ops.Len() {
		w.r.failf("%d requests are said to be in flight, %d slots are taken", n, u.ops.Len())
	}
	if w.stuck == 0 && len(w.k.has) > 0 {
		w.r.failf("the kernel was left with %s", w.k.has[0].job)
	}
	if u.paced != 0 && w.stuck == 0 {
		w.r.failf("%d paced requests are counted at the end", u.paced)
	}
	if w.hold != nil && (w.holds.held != 0 || len(w.holds.strays) != 0 || len(w.holds.free) != 1 && !w.down) {
		w.r.failf("%d holds are in use at the end, %d strays, %d free", w.holds.held, len(w.holds.strays), len(w.holds.free))
	}
	if w.down && !w.finished {
		w.r.failf("shutdown has not returned")
	}
}

// outcome is what has become of all requests, whatever they are called.
func (w *world) outcome() string {
	var list []string
	for _, j := range w.jobs {
		told := j.told
		if told > 0 {
			told -= int32(100 * j.name)
		}
		list = append(list, fmt.Sprint(j.kind, told, j.left, j.refused, j.collected, j.released, len(j.answers), len(j.opened), len(j.took)))
	}
	slices.Sort(list)
	return fmt.Sprint(list, w.stuck, w.finished)
}

// unpin lets go of what a run that was broken off keeps pinned.
func (w *world) unpin() {
	for _, j := range w.jobs {
		j.op.pinner.Unpin()
	}
	w.context().ops.Each(func(_ slab.Key, o **Op) bool {
		if (*o).lost {
			(*o).pinner.Unpin()
		}
		return true
	})
}
