package driver

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/uring"
)

// pushCancel asks the kernel to give up the request in slot key. Whatever the
// kernel answers to that, only the request's own completion ends it.
func (u *UringContext) pushCancel(key slab.Key) error {
	sqe, err := u.next()
	if err != nil {
		return err
	}
	sqe.PrepCancel(tagOp|uint64(key), 0)
	sqe.UserData = tagCancel | uint64(key)
	u.unsubmitted.push(entry{sqe: sqe})
	return nil
}

// A kernel can fail to find a request that it has: between the queue of its
// worker threads and the worker that takes it from there, it is on neither list
// (Linux 5.18 to 6.9, and before 5.17; "io-wq: write next_work before dropping
// acct_lock"). It answers ENOENT, and the request then blocks as if nobody had
// asked. It answers EALREADY for what a worker is at, or a device, which may or
// may not heed the wish. So the wish is repeated for as long as the request is
// there, at growing intervals, which the kernel measures:
//
//	the answer                        what follows
//	--------------------------------  ------------------------------------
//	to tagCancel: ENOENT, EALREADY    tagPause, a timeout; one per request
//	to tagPause: its time is over     tagCancel, once more
//	to either: refused unseen         the same, see repeatRefused
//
// until the request's own completion has come.

// pauses are the intervals between attempts; the last goes on for ever. The
// kernel reads them when it takes the entry; they never change.
var pauses = func() (list [11]uring.Timespec) {
	for i := range list {
		list[i] = uring.NewTimespec(time.Millisecond << i)
	}
	return list
}()

// miss looks at the answer to a request to cancel, and to the pause before the
// next one, and notes what is to be queued. Nothing else becomes of it: only the
// target's own completion ends the target.
func (u *UringContext) miss(c *uring.CQE) {
	key := slab.Key(c.UserData &^ tagMask)
	slot, ok := u.ops.Get(key)
	if !ok {
		return
	}
	switch errno := unix.Errno(-c.Res); {
	case c.UserData&tagMask == tagPause:
		(*slot).pausing = false
		// A timeout is cancelled when the thread that has submitted it exits.
		if errno == unix.ETIME || errno == unix.ECANCELED {
			u.missed = append(u.missed, tagCancel|uint64(key))
		}
	case errno == unix.ENOENT || errno == unix.EALREADY:
		u.missed = append(u.missed, tagPause|uint64(key))
	}
}

// repeatRefused notes that io_uring_enter(2) itself has refused one of these
// entries: there will be no answer to it. Whoever asked has not changed his mind.
func (u *UringContext) repeatRefused(data uint64) {
	if slot, ok := u.ops.Get(slab.Key(data &^ tagMask)); ok && data&tagMask == tagPause {
		(*slot).pausing = false
	}
	u.missed = append(u.missed, data)
}

// repeatCancels queues what has been noted, for those requests that are still
// there and still unwanted, as far as there is room.
func (u *UringContext) repeatCancels() {
	left := u.missed[:0]
	for i, data := range u.missed {
		key, pause := slab.Key(data&^tagMask), data&tagMask == tagPause
		slot, ok := u.ops.Get(key)
		if !ok || (*slot).lost || !(*slot).unwanted() && !u.closing.Load() || pause && (*slot).pausing {
			continue
		}
		sqe := u.ring.Next()
		if sqe == nil { // whoever flushes the queue comes by here again
			left = append(left, u.missed[i:]...)
			break
		}
		if pause {
			o := *slot
			sqe.PrepTimeout(&pauses[o.misses], 0, 0)
			o.pausing, o.misses = true, min(o.misses+1, uint8(len(pauses)-1))
		} else {
			sqe.PrepCancel(tagOp|uint64(key), 0)
		}
		sqe.UserData = data
		u.unsubmitted.push(entry{sqe: sqe})
	}
	u.missed = left
}
