package driver

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
)

// How a ring ends: it is asked to give up all there is (beginClose), reaped until
// it has (drained, await), and then closed, or kept for good (close, quarantine).

// drained tells whether the kernel has given everything back that it ever will.
func (u *UringContext) drained() bool {
	return u.ops.Len() == u.lost && u.backlog.first == nil
}

// beginClose asks the kernel to give up all there is, one by one: kernels
// before 5.19 have no request to cancel them all.
func (u *UringContext) beginClose() {
	u.closing.Store(true)
	for o := u.backlog.pop(); o != nil; o = u.backlog.pop() {
		u.refuse(o, unix.ECANCELED)
	}
	u.cancelAll()
	_ = u.submitGetEvents()
	u.dispatchCompletions()
}

// cancelAll asks the kernel to give up what it was not asked for yet. Where it
// takes no more for the moment the rest is for the next call. To push can mean
// to reap: the request may be its owner's again when that returns.
func (u *UringContext) cancelAll() {
	u.uncancelled = false
	u.ops.Each(func(key slab.Key, p **Op) bool {
		o := *p
		if o.told {
			return true
		}
		o.told = true
		if u.pushCancel(key) == nil {
			return true
		}
		if slot, ok := u.ops.Get(key); ok && *slot == o {
			o.told = false
		}
		u.uncancelled = true
		return false
	})
}

// close ends the ring, or keeps it if the kernel is, or may be, still at work on
// it.
func (u *UringContext) close(drained bool) []Stuck {
	if !drained || u.lost > 0 {
		u.quarantine()
		return u.stuck()
	}
	_ = u.ring.Close() // the kernel has nothing of ours any more
	return nil
}

// quarantine keeps rings that could not be drained, and with them all memory
// their requests own, for the rest of the process's life. Unmapping a ring does
// not stop the kernel from finishing what is on it, and it would finish into
// memory that has other owners by then.
var quarantine struct {
	mu       sync.Mutex
	contexts []*UringContext
}

func (u *UringContext) quarantine() {
	u.counters.quarantined.Add(int64(u.ops.Len()))
	quarantine.mu.Lock()
	quarantine.contexts = append(quarantine.contexts, u)
	quarantine.mu.Unlock()
}

// stuck lists the requests that the kernel still has.
func (u *UringContext) stuck() []Stuck {
	var list []Stuck
	u.ops.Each(func(_ slab.Key, p **Op) bool {
		o := *p
		list = append(list, Stuck{Op: o.Entry.Opcode.String(), Name: o.Name})
		return true
	})
	return list
}

// await calls done until it reports true or ctx ends, at growing intervals of
// at most five milliseconds, and returns what it reported last.
func await(ctx context.Context, done func() bool) bool {
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		if done() {
			return true
		}
		if paused("drain") {
			if ctx.Err() != nil {
				return done()
			}
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return done()
		}
	}
}

// isClosed tells whether a channel that carries nothing has been closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
