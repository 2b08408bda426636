package driver

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/uring"
)

// ErrNoHold is what HoldOp answers when all hold rings are in use, when there are
// none (Config.Holds, Linux before 5.11), or when it is given more than 64 requests.
var ErrNoHold = errors.New("eddy: every hold ring is in use")

// holdEntries is the size of a hold ring: a whole batch of reads fits in.
const holdEntries = 64

// hold is a ring of the caller's own for the length of a request or a batch:
// the caller submits and waits in one system call, on its own thread, as in
// pread(2). No other goroutine has to be scheduled for it to go on, which on a
// saturated processor is worth a factor of a hundred.
//
// A hold whose caller has run out of patience becomes a stray: its ring is
// watched by the driver's turns, and goes back to the pool when the kernel has
// given everything back.
//
// Whose the context is:
//
//	free, held  the pool's, the holder's: without a lock
//	stray       everybody's, under mu
//
// so that nobody ever waits for a holder, who is in the kernel.
type hold struct {
	mu      mutex
	stray   bool
	polled  bool // a goroutine looks after it, for the registry has no room
	context UringContext
	pool    *holds
}

// holds is the pool.
type holds struct {
	mu       mutex
	free     []*hold
	made     int // rings there are
	held     int // of these, with a caller that waits in the kernel
	limit    int
	closed   bool
	strays   map[*hold]struct{}
	counters *counters
	open     opener
	watch    func(fd int) error // puts a ring's fd in the registry
	unwatch  func(fd int)
}

func newHolds(limit int, c *counters, open opener, watch func(int) error, unwatch func(int)) *holds {
	return &holds{limit: limit, counters: c, open: open, watch: watch, unwatch: unwatch, strays: map[*hold]struct{}{}}
}

// get takes a hold from the pool, or makes one.
func (p *holds) get() (*hold, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrShutdown
	}
	if n := len(p.free); n > 0 {
		h := p.free[n-1]
		p.free = p.free[:n-1]
		p.held++
		p.mu.Unlock()
		return h, nil
	}
	if p.made >= p.limit {
		p.mu.Unlock()
		return nil, ErrNoHold
	}
	p.made++
	p.held++
	p.mu.Unlock()

	h := &hold{pool: p}
	h.context.counters = p.counters
	h.context.depth = holdEntries
	err := h.context.tryInit(p.open, holdEntries, uring.Config{Flags: uring.SetupClamp, Optional: sharedFlags})
	if err == nil && !h.context.ring.Features().Has(uring.FeatExtArg) {
		err = errors.Join(ErrNoHold, h.context.ring.Close()) // to wait with a limit needs 5.11
	}
	if err != nil {
		p.mu.Lock()
		p.made--
		p.held--
		p.mu.Unlock()
		return nil, err
	}
	return h, nil
}

// put gives a held one back that has nothing in flight.
func (p *holds) put(h *hold) {
	p.mu.Lock()
	if !p.closed {
		p.held--
		p.free = append(p.free, h)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	h.context.close(true)
	p.mu.Lock()
	p.held-- // only now, for a shutdown waits for it
	p.mu.Unlock()
}

// run registers the requests and waits in the kernel until all of them have
// completed or patience is over. It reports whether they have; if not, the
// driver's turns see to them, and each is waited for or cancelled by itself.
// An error means that none of the requests was registered.
func (p *holds) run(ops []*Op, patience time.Duration) (bool, error) {
	h, err := p.get()
	if err != nil {
		return false, err
	}
	p.counters.holds.Add(uint64(len(ops)))
	done := h.run(ops, patience)
	if done {
		p.put(h)
		return true, nil
	}
	p.astray(h)
	return false, nil
}

// submitEvery is how many requests of a batch are handed to the kernel at
// once: the device starts on the first while the rest are being submitted.
const submitEvery = 4

func (h *hold) run(ops []*Op, patience time.Duration) bool {
	u := &h.context
	for i, o := range ops {
		o.home = h
		o.state.Store(uint32(Submitted))
		if err := u.push(o); err != nil {
			u.refuse(o, err)
		}
		if i%submitEvery == submitEvery-1 && i+1 < len(ops) {
			_ = u.submit()
		}
	}
	for deadline := now() + patience; !u.drained(); {
		left := deadline - now()
		if left <= 0 || u.wait(uint32(u.ops.Len()-u.lost), left) != nil {
			return false
		}
		u.dispatchCompletions()
	}
	return true
}

// astray hands a hold with requests in flight over to the driver's turns.
func (p *holds) astray(h *hold) {
	h.mu.Lock()
	h.stray = true
	p.counters.strays.Add(1)
	p.mu.Lock()
	p.held--
	p.strays[h] = struct{}{}
	p.mu.Unlock()
	// A ring that cannot be watched (epoll_ctl(2): ENOSPC, ENOMEM) causes no
	// turns; those that other events cause may never come.
	if p.watch(h.context.ring.Fd()) != nil && !h.polled {
		h.polled = true
		go h.poll()
	}
	h.context.ops.Each(func(key slab.Key, o **Op) bool {
		// Somebody asked while it was held, and could not do it himself.
		return !(*o).unwanted() || h.context.pushCancel(key) == nil
	})
	h.mu.Unlock()
	p.reap(h)
}

// poll looks after a stray that nobody watches, until it is none any more.
func (h *hold) poll() {
	for {
		backOff(patient)
		h.pool.reap(h)
		h.mu.Lock()
		if !h.stray {
			h.polled = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
}

// turn looks after the strays.
func (p *holds) turn() {
	for _, h := range p.list() {
		p.reap(h)
	}
}

// reap dispatches what a stray has, and takes it back if that was all.
func (p *holds) reap(h *hold) {
	h.mu.Lock()
	if !h.stray {
		h.mu.Unlock()
		return
	}
	u := &h.context
	_ = u.submitGetEvents()
	u.dispatchCompletions()
	_ = u.submit() // what had to be submitted once more
	list := u.takeWoken()
	home := u.drained()
	if home {
		h.stray = false
		p.unwatch(u.ring.Fd())
		p.counters.strays.Add(-1)
		p.mu.Lock()
		delete(p.strays, h)
		p.held++
		p.mu.Unlock()
	}
	h.mu.Unlock()
	wake(list)
	if home {
		p.put(h)
	}
}

func (h *hold) cancel(o *Op) {
	h.mu.Lock()
	u := &h.context
	if !h.stray {
		h.mu.Unlock() // whoever holds it looks for it afterwards
		return
	}
	if slot, ok := u.ops.Get(o.key()); ok && *slot == o {
		// If even this cannot be queued the request just takes its time.
		_ = u.pushCancel(o.key())
	}
	h.mu.Unlock()
	h.pool.reap(h)
}

// shutdown closes the pool's rings. Callers that wait in the kernel come out
// of it when their patience is over at the latest; what they leave behind, and
// what others have, is cancelled and waited for until ctx ends.
func (p *holds) shutdown(ctx context.Context) []Stuck {
	p.mu.Lock()
	p.closed = true
	free := p.free
	p.free = nil
	p.mu.Unlock()
	for _, h := range free {
		h.context.close(true)
	}
	await(ctx, func() bool {
		forget("shutdown", nil)
		p.cancelStrays()
		forget("cancelled", nil)
		p.turn()
		forget("turned", nil)
		held, strays := p.count()
		return held+strays == 0
	})
	await(context.Background(), func() bool {
		held, _ := p.count()
		return held == 0
	})
	return p.giveUp()
}

func (p *holds) count() (held, strays int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held, len(p.strays)
}

// list is the strays of this moment.
func (p *holds) list() []*hold {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.strays) == 0 {
		return nil
	}
	return slices.Collect(maps.Keys(p.strays))
}

// cancelStrays asks the kernel, once for each request of a stray, to give it up.
func (p *holds) cancelStrays() {
	for _, h := range p.list() {
		h.mu.Lock()
		switch {
		case !h.stray:
		case !h.context.closing.Load():
			h.context.beginClose()
		case h.context.uncancelled:
			h.context.cancelAll()
		}
		list := h.context.takeWoken()
		h.mu.Unlock()
		wake(list)
	}
}

// giveUp keeps the strays that are left for ever, and names what is on them.
func (p *holds) giveUp() []Stuck {
	p.mu.Lock()
	left := p.strays
	p.strays = map[*hold]struct{}{}
	p.mu.Unlock()
	var stuck []Stuck
	for h := range left {
		h.mu.Lock()
		if h.stray {
			h.stray = false
			p.unwatch(h.context.ring.Fd())
			p.counters.strays.Add(-1)
			stuck = append(stuck, h.context.close(false)...)
		}
		h.mu.Unlock()
	}
	return stuck
}
