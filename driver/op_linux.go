package driver

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/uring"
)

// Resource is something a request needs for as long as the kernel has it,
// usually a reference that keeps a descriptor open. Release is called once per
// request, from any goroutine; it must not block and must not register
// requests of its own.
type Resource interface{ Release() }

// Op is one request: what the kernel is asked, what it reaches through the
// entry's addresses, and what becomes of the answer.
//
// The caller fills the exported fields, calls Own for all memory the entry
// points to, and hands the Op to RegisterOp or HoldOp. From then on it
// belongs to the driver, but for Wait, Park, Done, State, Delay, RequestCancel
// and CancelOp, until Result has returned or CancelOp has said that the caller is
// out of it: one of the two must be called, for what the Op owns stays pinned until
// then. An Op may be used again after Result; it must not be copied. Who has parked
// receives from Done before Result, also when CancelOp has reported false.
//
// Entries that answer for others, several times, or not at all are not for an Op:
// IOSQE_IO_LINK and IOSQE_IO_HARDLINK (the chain breaks when one of them is
// refused or submitted once more), multishot requests (the first completion is
// the Result; descriptors that the others yield are closed) and
// IOSQE_CQE_SKIP_SUCCESS (it never ends).
type Op struct {
	// Entry is the prepared submission entry. Its UserData is the driver's.
	Entry uring.SQE

	// Hold is released with the memory, if it is not nil.
	Hold Resource

	// Name tells a ShutdownError what the request was for.
	Name string

	// YieldsFd says that a result of zero or more is a new descriptor, to be
	// closed if nobody is left to take it.
	YieldsFd bool

	// Paced requests count against Config.Depth: beyond it they wait in the
	// driver, in order, and not in the kernel. Meant for requests that the
	// kernel always finishes soon, such as reads of a local disk; a request
	// that may take for ever must not be paced.
	Paced bool

	// Timed makes the driver note when it passes the request on; see Delay.
	Timed bool

	state   atomicUint32  // Lifecycle
	asked   atomicBool    // somebody wants it cancelled: ECANCELED is an answer
	place   atomic.Uint64 // the slab.Key, once the request has a slot: a late wish to cancel looks at it any time
	next    *Op           // in the submitter's queue, in the backlog, in a list to wake
	done    chan struct{} // capacity 1: one token when a Waiting request completes
	pinner  runtime.Pinner
	res     int32
	flags   uring.CQEFlags
	partial bool  // a first completion has set res; the terminal one does not
	lost    bool  // a stand-in that keeps memory whose completion was lost
	again   bool  // the kernel has ended it, and it waits to be submitted once more
	seen    bool  // in flight when the thread last looked for what has stalled
	told    bool  // a shutdown has asked the kernel to give it up
	pausing bool  // the kernel will be asked to give it up once more, after a pause
	misses  uint8 // how often it was not found when the kernel was asked to
	tries   uint8 // how often it was submitted once more
	cancel  bool  // in the submitter's queue: not a request but the wish to cancel target
	target  *Op
	home    home // where it was registered, for CancelOp

	queued, taken, reaped time.Duration // for Delay
}

// Own pins memory the entry points to, for as long as the kernel may touch
// it. Each argument is a pointer to the start of a heap object or into one.
func (o *Op) Own(pointer any) { o.pinner.Pin(pointer) }

// OwnBytes is Own for the array under p; an empty p needs nothing.
func (o *Op) OwnBytes(p []byte) {
	if len(p) > 0 {
		o.pinner.Pin(&p[0])
	}
}

// State is where the request stands. It may be called at any time, by anyone;
// the answer may be out of date when it arrives.
func (o *Op) State() Lifecycle { return Lifecycle(o.state.Load()) }

// Park announces that the caller is about to receive from Done. It reports
// false if the request has completed: then there is nothing to wait for. On true
// there is one token for the caller, who has to receive it before Result: also
// if CancelOp reports false in the meantime. A token that is left behind would
// be that of the Op's next request. Only the goroutine that registered the
// request may call it, once.
func (o *Op) Park() bool {
	return o.state.CompareAndSwap(uint32(Submitted), uint32(Waiting))
}

// Done receives one token when a request that was parked has completed.
func (o *Op) Done() <-chan struct{} { return o.done }

// Wait blocks until the request has completed. It is Park and a receive from Done,
// and takes their place: only the goroutine that registered the request may call
// it, once, and not after Park.
func (o *Op) Wait() {
	if o.Park() {
		block("wait", func() bool { return len(o.done) > 0 })
		<-o.done
	}
}

// Result takes the outcome of a completed request, as the kernel gave it: a
// count, a descriptor, or an errno negated. ECANCELED is reported only if
// somebody has asked for it, or at a shutdown; EAGAIN also of a request that the
// kernel has cancelled unasked, and for the same reason as before, 65 times. It
// releases the memory and the resource, and leaves the Op idle. If Park was true,
// receive from Done first. It panics if the request has not completed.
func (o *Op) Result() (res int32, flags uring.CQEFlags) {
	if o.State() != Completed {
		panic("driver: Result of a request that is " + o.State().String())
	}
	res, flags = o.res, o.flags
	o.release()
	return res, flags
}

// Delay tells, for a Timed request that has completed, how long the whole of
// it took from RegisterOp until now, and how much of that the driver itself and
// the scheduler added: until the request was handed to the kernel (or found
// that Config.Depth others were there), and since its completion was reaped.
// Call it before Result.
func (o *Op) Delay() (added, whole time.Duration) {
	at := now()
	return (o.taken - o.queued) + (at - o.reaped), at - o.queued
}

// reset makes an idle Op ready to be registered.
func (o *Op) reset() {
	if o.done == nil {
		o.done = make(chan struct{}, 1)
	}
	o.asked.Store(false)
	o.place.Store(0)
	o.next, o.target = nil, nil
	o.res, o.flags, o.partial, o.again, o.seen = 0, 0, false, false, false
	o.told, o.pausing, o.misses, o.tries = false, false, 0, 0
	if o.Timed {
		o.queued, o.taken = now(), 0
	}
}

// release gives back what the request held. The kernel must be done with it.
func (o *Op) release() {
	o.pinner.Unpin()
	if h := o.Hold; h != nil {
		o.Hold = nil
		h.Release()
	}
	o.state.Store(uint32(Idle))
}

// finish is the request's terminal completion. It reports whether somebody is
// to be woken; the caller of finish does that, after it has let go of locks.
func (o *Op) finish(res int32, flags uring.CQEFlags, c *counters) (wake bool) {
	if !o.partial {
		o.res, o.flags = res, flags
	}
	for {
		switch old := o.State(); old {
		case Submitted, Waiting:
			if o.state.CompareAndSwap(uint32(old), uint32(Completed)) {
				c.completed.Add(1)
				return old == Waiting
			}
		default: // Cancelled: nobody is left
			c.cancelled.Add(1)
			o.dispose(o.res, c)
			o.release()
			return false
		}
	}
}

// dispose closes a descriptor that nobody claims any more. It is the one place
// that does.
func (o *Op) dispose(res int32, c *counters) {
	if o.YieldsFd && res >= 0 {
		c.disposed.Add(1)
		closeResult(int(res))
	}
}

// key is the request's slot, 0 if it has none.
func (o *Op) key() slab.Key { return slab.Key(o.place.Load()) }

// cutShort says whether a result tells of something that has happened to the
// thread that worked on the request, and not to the request.
//
//	ECANCELED    the request was cancelled, or the thread that submitted it
//	             has exited
//	EINTR        a worker thread was signalled: that is how those are cancelled
//	ERESTART...  the same from operations that let the kernel's own numbers
//	             out, openat of a FIFO for one (include/linux/errno.h)
//
// If nobody asked for it, it calls for the same entry once more; no caller can
// act upon it. Otherwise it is all the same: cancelled.
func cutShort(res int32) bool {
	const (
		restartSys    = 512
		restartNoIntr = 513
		restartNoHand = 514
		restartBlock  = 516
	)
	switch syscall.Errno(-res) {
	case unix.ECANCELED, unix.EINTR, restartSys, restartNoIntr, restartNoHand, restartBlock:
		return true
	}
	return false
}

// unwanted says that somebody wants it cancelled.
func (o *Op) unwanted() bool { return o.asked.Load() || o.State() == Cancelled }

// epoch is when the driver's clock began, see now.
var epoch = time.Now()
