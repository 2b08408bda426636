package driver

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
)

// submission is a way to get requests to the kernel.
type submission interface {
	// register takes over the request, which is Submitted from here on. On an
	// error the kernel has not seen it and it is the caller's again.
	register(o *Op) error

	home

	// turn reaps what has completed, for the owner's turn. It may be called
	// from the turning goroutine only.
	turn()

	// shutdown refuses new requests, cancels those there are, and waits for
	// the kernel to give them back. What it has not given back when ctx ends
	// is returned, and kept.
	shutdown(ctx context.Context) []Stuck
}

// home is where a request was registered.
type home interface {
	// cancel asks the kernel to give the request up. It returns at once.
	cancel(o *Op)
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

// isClosed tells whether a channel that carries nothing has been closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
