package driver

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/uring"
)

// UringContext is a ring and the requests that are on it. It has no lock of
// its own: whoever submits guards it (the mutex of the shared mode, the thread
// of the thread mode, the mutex of a hold).
type UringContext struct {
	ring     kernel
	ops      slab.Slab[*Op]
	counters *counters

	depth   int // most Paced requests the kernel has at once
	paced   int // how many it has
	backlog backlog
	lost    int // slots whose completion the kernel has lost; it may come all the same

	timed       []*Op    // to be stamped when they are submitted
	unsubmitted fifo     // entries the kernel has not consumed, oldest first
	again       *Op      // requests to submit once more
	missed      []uint64 // user_data of entries to queue, see miss
	woken       *Op      // completed, their waiters not woken yet
	unarmed     bool     // the poll tagged tagWake has ended
	rousing     int      // what rouse has asked and the kernel has not answered
	promoting   bool     // a promotion is under way, further up the stack
	uncancelled bool     // a shutdown had no room for all the cancels it wants
	cqes        [128]uring.CQE

	// closing makes ECANCELED an answer, so that nothing is resubmitted, and
	// a kernel that takes nothing a reason to give up. Set without the guard,
	// for whoever has it may be waiting for that kernel.
	closing atomicBool
}

// kernel is what the driver needs of a ring. *uring.Ring is the real one; it
// is the seam at which tests put a scripted one.
type kernel interface {
	Fd() int
	Next() *uring.SQE
	Queued() uint32
	Submit() (uint32, error)
	SubmitGetEvents() (uint32, error)
	SubmitAndWait(min uint32, timeout time.Duration) (uint32, error)
	Reap(into []uring.CQE) int
	Completions() uint32
	Overflowed() bool
	NeedsTaskrun() bool
	Close() error

	// What is asked of a new ring, once.
	Probe() (uring.Probe, error)
	Features() uring.Features
	IOWQMaxWorkers(bounded, unbounded uint32) ([2]uint32, error)
}

var _ kernel = (*uring.Ring)(nil)

// user_data of an entry:
//
//	63      56 55                              0
//	+---------+---------------------------------+
//	|   tag   |  slab key, generation and index |
//	+---------+---------------------------------+
const (
	tagOp     uint64 = iota << 56 // a request; the key is its slot
	tagCancel                     // an ASYNC_CANCEL of that slot; at most it is repeated, see miss
	tagPause                      // the time until it is
	tagWake                       // the eventfd that wakes the thread
	tagVoid                       // an entry that was made a no-op after it was rejected
	tagRouse                      // what rouse asks

	tagMask uint64 = 0xff << 56
)

// opener makes rings: openRing, or a script in a test.
type opener func(entries uint32, cfg uring.Config) (kernel, error)

func openRing(entries uint32, cfg uring.Config) (kernel, error) {
	ring, err := uring.New(entries, cfg)
	if err != nil {
		return nil, err // and not a kernel that is a nil pointer
	}
	return ring, nil
}

// tryInit gives the context its ring.
func (u *UringContext) tryInit(open opener, entries uint32, cfg uring.Config) error {
	ring, err := open(entries, cfg)
	if err != nil {
		return err
	}
	u.ring = ring
	return nil
}

// admit passes the request on to the kernel's queue, or lets it wait for its
// turn if it is paced and enough of its kind are in flight.
func (u *UringContext) admit(o *Op) error {
	if o.Paced && (u.paced >= u.depth || u.backlog.first != nil) {
		if o.Timed {
			o.taken = now() // from here on it waits for the device, not for us
		}
		u.backlog.push(o)
		return nil
	}
	return u.push(o)
}

// promote admits requests from the backlog as far as there is room. To push
// one can mean to reap, which would promote the next one first.
func (u *UringContext) promote() {
	if u.promoting {
		return
	}
	u.promoting = true
	defer func() { u.promoting = false }()
	for u.paced < u.depth {
		o := u.backlog.pop()
		if o == nil {
			return
		}
		if err := u.push(o); err != nil {
			u.refuse(o, err)
		}
	}
}

// refuse ends a request that never had a slot.
func (u *UringContext) refuse(o *Op, cause error) {
	errno := unix.EAGAIN
	errors.As(cause, &errno)
	u.finish(o, -int32(errno), 0)
}

// push gives the request a slot and an entry. An error means that the kernel
// has not seen the request and will not.
func (u *UringContext) push(o *Op) error {
	if o.unwanted() { // its owner left before the kernel saw it
		u.finish(o, -int32(unix.ECANCELED), 0)
		return nil
	}
	sqe, err := u.next()
	if err != nil {
		return err
	}
	key, _ := u.ops.Insert(o)
	if key == 0 {
		u.void(sqe)
		return fmt.Errorf("eddy: %d requests in flight: %w", u.ops.Len(), unix.EAGAIN)
	}
	o.place.Store(uint64(key))
	u.counters.inFlight.Add(1)
	if o.Paced {
		u.paced++
	}
	u.publish(sqe, o)
	return nil
}

// publish copies the request's entry into the queue.
func (u *UringContext) publish(sqe *uring.SQE, o *Op) {
	*sqe = o.Entry
	sqe.UserData = tagOp | uint64(o.key())
	u.unsubmitted.push(entry{sqe, o.key()})
	if o.Timed && o.taken == 0 {
		u.timed = append(u.timed, o)
	}
}

// stamp notes when the Timed requests were handed to the kernel.
func (u *UringContext) stamp() {
	if len(u.timed) == 0 {
		return
	}
	at := now()
	for i, o := range u.timed {
		o.taken = at
		u.timed[i] = nil
	}
	u.timed = u.timed[:0]
}

// void makes an entry that will not be used harmless.
func (u *UringContext) void(sqe *uring.SQE) {
	sqe.PrepNop()
	sqe.UserData = tagVoid
	u.unsubmitted.push(entry{sqe: sqe})
}

// next is the next free entry; a full queue is flushed first.
func (u *UringContext) next() (*uring.SQE, error) {
	for try := 0; ; try++ {
		if sqe := u.ring.Next(); sqe != nil {
			return sqe, nil
		}
		if err := u.submit(); err != nil {
			return nil, err
		}
		if u.ring.Queued() > 0 {
			if u.closing.Load() {
				return nil, unix.EAGAIN
			}
			backOff(try)
		}
	}
}

// submit hands the kernel all entries that it has not consumed, without
// waiting for any of them.
func (u *UringContext) submit() error { return u.enter(false) }

// submitGetEvents is submit that also runs deferred task work and flushes
// completions that had not fitted into the queue.
func (u *UringContext) submitGetEvents() error { return u.enter(true) }

func (u *UringContext) enter(getEvents bool) error {
	var n uint32
	for try := 0; ; try++ {
		u.resubmit()
		if try == 0 || n > 0 { // else a kernel that refuses them would go on for ever
			u.repeatCancels()
		}
		if !getEvents && u.ring.Queued() == 0 {
			return nil
		}
		var err error
		u.stamp()
		u.counters.enters.Add(1)
		if getEvents {
			n, err = u.ring.SubmitGetEvents()
		} else {
			n, err = u.ring.Submit()
		}
		u.accept(n)
		again, err := u.answer(err)
		if !again && (err != nil || u.again == nil && len(u.missed) == 0) { // else there is room now for those
			return err
		}
		if n == 0 {
			if u.closing.Load() {
				return nil // the drain tries again, and knows when to end
			}
			backOff(try)
		}
	}
}

// wait is submit that blocks for min completions, or until the timeout; a
// negative one is none. It returns after a signal too.
func (u *UringContext) wait(minimum uint32, timeout time.Duration) error {
	u.stamp()
	u.counters.enters.Add(1)
	n, err := u.ring.SubmitAndWait(minimum, timeout)
	u.accept(n)
	if errors.Is(err, unix.ETIME) || errors.Is(err, unix.EINTR) {
		return nil
	}
	_, err = u.answer(err)
	return err
}

// accept notes that the kernel has consumed n entries.
func (u *UringContext) accept(n uint32) {
	u.unsubmitted.drop(n)
	u.counters.submitted.Add(uint64(n))
}

// answer deals with what io_uring_enter(2) said, and tells whether to call it
// again.
//
//	nil          a short count is not the whole: again while entries are left
//	EINTR        a signal came first: again
//	EAGAIN       the kernel is out of requests: reap, then again
//	EBUSY        completions have overflowed: reap, then again
//	EBADR        completions were lost: nobody knows whose; fail all in flight
//	the rest     the oldest entry was refused: fail that request and no other
func (u *UringContext) answer(err error) (again bool, _ error) {
	switch {
	case err == nil:
		return u.ring.Queued() > 0, nil
	case errors.Is(err, unix.EINTR):
		return true, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EBUSY):
		u.counters.busy.Add(1)
		u.dispatchCompletions()
		return u.ring.Queued() > 0, nil
	case errors.Is(err, unix.EBADR):
		u.dispatchCompletions()
		u.abandonAll()
		return u.ring.Queued() > 0, nil
	}
	if !u.reject(err) {
		return false, err // nothing of ours to blame: the ring itself
	}
	return u.ring.Queued() > 0, nil
}

// reject fails the oldest request the kernel has not consumed. Its entry is
// still in the queue and will run one day, so it becomes a no-op first; only
// then is the memory it pointed to free. It reports false if no entry is left
// to put the blame on.
func (u *UringContext) reject(cause error) bool {
	e := u.unsubmitted.oldest()
	if e == nil {
		return false
	}
	errno := unix.EINVAL
	errors.As(cause, &errno)
	switch data := e.sqe.UserData; data & tagMask {
	case tagWake:
		u.unarmed = true
	case tagCancel, tagPause:
		u.repeatRefused(data)
	case tagRouse:
		u.answerRouse()
	}
	*e.sqe = uring.SQE{Opcode: uring.OpNop, UserData: tagVoid}
	key := e.key
	e.key = 0
	u.counters.rejected.Add(1)
	if o, ok := u.removeOp(key); ok {
		o.partial = false
		u.finish(o, -int32(errno), 0)
	}
	return true
}

// abandonAll fails everything the kernel has, with ErrLost's errno. The slots
// stay taken and the memory stays pinned, in the name of a twin without an
// owner: the kernel may still be at it. They do not count against the depth,
// or those behind them would wait for ever.
func (u *UringContext) abandonAll() {
	u.counters.lost.Add(1)
	u.unarmed = true // the end of that poll may be among what is lost
	u.rousing = 0    // and so may these answers

	ours := map[slab.Key]bool{} // not with the kernel
	for _, e := range u.unsubmitted.entries[u.unsubmitted.head:] {
		ours[e.key] = true
	}
	for o := u.again; o != nil; o = o.next {
		ours[o.key()] = true
	}
	u.ops.Each(func(key slab.Key, p **Op) bool {
		o := *p
		if ours[key] || o.lost { // a twin stays one, whatever else is lost
			return true
		}
		if o.Paced {
			u.paced--
		}
		twin := &Op{Name: o.Name, Entry: o.Entry, Hold: o.Hold, YieldsFd: o.YieldsFd, pinner: o.pinner, lost: true}
		u.lost++
		twin.state.Store(uint32(Cancelled))
		o.Hold, o.pinner, o.partial = nil, runtime.Pinner{}, false
		*p = twin
		u.finish(o, -int32(unix.EBADR), 0)
		return true
	})
	u.promote()
}

// flushes is how often an overflow is flushed in vain.
const flushes = 4

// dispatchCompletions reaps all there is and returns how many it was. Waiters
// are collected, not woken: see wake.
func (u *UringContext) dispatchCompletions() int {
	total, lost := 0, false
	for refused := 0; ; {
		n := u.ring.Reap(u.cqes[:])
		var at time.Duration
		for i := range u.cqes[:n] {
			at = u.complete(&u.cqes[i], at)
		}
		total += n
		if n == len(u.cqes) {
			continue
		}
		if !u.ring.Overflowed() {
			break
		}
		u.counters.overflows.Add(1)
		u.counters.enters.Add(1)
		u.stamp()
		flushed, err := u.ring.SubmitGetEvents()
		u.accept(flushed)
		lost = lost || errors.Is(err, unix.EBADR) // which the kernel says once
		if err == nil || u.ring.Completions() > 0 {
			continue
		}
		// What has not fitted announces itself no more. If it is still there
		// after a few attempts, it is for whoever enters next, who meets the
		// same error with room to act on it.
		if refused++; refused == flushes {
			break
		}
	}
	if lost {
		u.abandonAll()
	}
	u.resubmit()
	u.repeatCancels()
	u.promote()
	return total
}

// complete deals with one completion. at is when this batch was reaped, or 0
// if nobody has asked yet.
func (u *UringContext) complete(c *uring.CQE, at time.Duration) time.Duration {
	switch c.UserData & tagMask {
	case tagOp:
	case tagCancel, tagPause:
		u.miss(c)
		return at
	case tagWake:
		u.unarmed = u.unarmed || !c.More()
		return at
	case tagRouse:
		u.answerRouse()
		return at
	default:
		return at
	}
	key := slab.Key(c.UserData &^ tagMask)
	slot, ok := u.ops.Get(key)
	if !ok {
		u.counters.staleCQEs.Add(1)
		return at
	}
	o := *slot
	if o.again { // it has ended, and is not with the kernel again yet
		u.counters.staleCQEs.Add(1)
		return at
	}
	if o.Timed {
		if at == 0 {
			at = now()
		}
		o.reaped = at
	}
	if o.partial {
		o.dispose(c.Res, u.counters)
	}
	if c.More() {
		if !o.partial {
			o.res, o.flags, o.partial = c.Res, c.Flags, true
		}
		return at
	}
	res := c.Res
	if cutShort(res) && !o.partial {
		var again bool
		if res, again = u.tryAgain(o); again {
			return at
		}
	}
	u.removeOp(key)
	u.finish(o, res, c.Flags)
	return at
}

// maxTries is how often a request is submitted once more. A thread that exits
// ends it once; a kernel that cannot make the worker it takes, for want of
// processes (RLIMIT_NPROC), ends it each time and at once.
const maxTries = 64

// tryAgain notes that a request that was cut short is to be submitted once more,
// or else says what its result is.
func (u *UringContext) tryAgain(o *Op) (res int32, again bool) {
	switch {
	case u.closing.Load() || o.unwanted():
		return -int32(unix.ECANCELED), false
	case o.tries == maxTries:
		return -int32(unix.EAGAIN), false
	}
	o.tries++
	o.next, u.again, o.again = u.again, o, true
	return 0, true
}

// resubmit puts requests that the kernel cancelled unasked back into the
// queue, in the slots they have, unless somebody has asked for it since, or
// everything is being cancelled.
func (u *UringContext) resubmit() {
	for u.again != nil {
		o := u.again
		if o.unwanted() || u.closing.Load() {
			u.again, o.next, o.again = o.next, nil, false
			u.removeOp(o.key())
			u.finish(o, -int32(unix.ECANCELED), 0)
			continue
		}
		sqe := u.ring.Next()
		if sqe == nil {
			return // the queue is full: whoever flushes it comes by here again
		}
		u.again, o.next, o.again = o.next, nil, false
		u.counters.resubmitted.Add(1)
		u.publish(sqe, o)
	}
}

// removeOp frees the slot. From here on a completion with this key is stale.
func (u *UringContext) removeOp(key slab.Key) (*Op, bool) {
	o, ok := u.ops.Remove(key)
	if ok {
		u.counters.inFlight.Add(-1)
		if o.Paced {
			u.paced--
		}
		if o.lost {
			u.lost--
		}
	}
	return o, ok
}

func (u *UringContext) finish(o *Op, res int32, flags uring.CQEFlags) {
	if o.finish(res, flags, u.counters) {
		o.next, u.woken = u.woken, o
	}
}

// takeWoken hands over the requests whose waiters are to be woken, in the
// order they completed.
func (u *UringContext) takeWoken() *Op {
	var first *Op
	for o := u.woken; o != nil; {
		next := o.next
		o.next, first = first, o
		o = next
	}
	u.woken = nil
	return first
}

// wake wakes the waiters of a list from takeWoken. It holds no lock: what they
// do next may well be another request.
func wake(o *Op) {
	for o != nil {
		next := o.next // the waiter may reuse the Op as soon as it runs
		o.next = nil
		reach("wake")
		o.done <- struct{}{}
		o = next
	}
}

// patient is the try from which on backOff waits for its longest.
const patient = 10

// backOff is how long to leave the kernel alone when it takes nothing: first
// not at all, then longer and longer, up to a millisecond.
func backOff(try int) {
	if paused("back off") {
		return
	}
	if try < 4 {
		runtime.Gosched()
		return
	}
	time.Sleep(min(time.Duration(1)<<min(try, patient)*time.Microsecond, time.Millisecond))
}
