package uring

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// Next takes the next free submission entry and zeroes it. It returns nil if
// the queue is full (Submit makes room) or the ring is closed. The entry
// belongs to the caller until the next submitting call, which hands it to the
// kernel whatever it contains; all zeroes are a valid OpNop. With SetupSQE128
// both halves are zeroed; see Command for the second one.
func (r *Ring) Next() *SQE {
	if r.life.closed() || r.Space() == 0 {
		return nil
	}
	s := &r.sq
	// SAFETY: the index is masked into the mapping of size entries of 1<<shift
	// bytes, which lives until destroy; the kernel has consumed what was at
	// that index, for the distance of tail and kernelHead is below size.
	entry := unsafe.Add(s.entries, uintptr(s.tail&s.mask)<<s.shift)
	if s.shift == 7 {
		*(*[2]SQE)(entry) = [2]SQE{}
	} else {
		*(*SQE)(entry) = SQE{}
	}
	s.tail++
	return (*SQE)(entry)
}

// Command returns the command area of an entry that Next returned, for
// OpUringCmd (kernel 5.19): 16 bytes starting at Addr3, or 80 with SetupSQE128.
func (r *Ring) Command(entry *SQE) []byte {
	size := uintptr(1)<<r.sq.shift - unsafe.Offsetof(entry.Addr3)
	// SAFETY: entry is inside the queue, where each one has 1<<shift bytes.
	return unsafe.Slice((*byte)(unsafe.Pointer(&entry.Addr3)), size)
}

// Space returns the number of entries that Next can hand out now. With
// SetupSQPoll it may grow at any time.
func (r *Ring) Space() uint32 { return r.sq.size - r.Queued() }

// Queued returns the number of entries taken with Next that the kernel has not
// consumed yet.
func (r *Ring) Queued() uint32 {
	if r.life.closed() {
		return 0
	}
	// Pairs with the kernel's smp_store_release of the head, after it has read
	// the entries: what we write to a free entry cannot be seen by that read.
	return r.sq.tail - atomic.LoadUint32(r.sq.kernelHead)
}

// publish shows all entries taken so far to the kernel, and returns how many
// it has not consumed and how many of those it could not see before.
func (r *Ring) publish() (pending, fresh uint32) {
	s := &r.sq
	if fresh = s.tail - s.published; fresh != 0 {
		// Pairs with the kernel's smp_load_acquire of the tail: whoever sees
		// the new tail sees the entries (and the index array) below it.
		atomic.StoreUint32(s.kernelTail, s.tail)
		s.published = s.tail
	}
	// Not Queued: the caller has acquired, and a Close since then changes nothing.
	return s.tail - atomic.LoadUint32(s.kernelHead), fresh
}

// needsWakeup tells that the SetupSQPoll thread sleeps. Call it after publish:
// Go's atomics are sequentially consistent, so that this load cannot move
// before the tail's store. The kernel's half is smp_mb between setting the flag
// and looking at the tail a last time: one of the two sides sees the other.
func (r *Ring) needsWakeup() bool {
	return atomic.LoadUint32(r.sq.flags)&sqNeedWakeup != 0
}

// Submit hands all queued entries to the kernel and returns how many it has
// consumed: io_uring_enter(2). It does not wait for completions and does not
// tell the Go scheduler about the call. If nothing is queued it makes no system
// call.
//
// The number can be smaller than Queued. Unless the ring has SetupSubmitAll,
// the kernel stops after an entry that it rejects, which counts as consumed and
// completes with its error. The rest stays queued for the next call. If there
// is an error, nothing was consumed and everything stays queued, so the memory
// that the entries point to must still be kept. The errors are those of
// io_uring_enter(2):
//
//	EINTR   a signal came first; call again
//	EAGAIN  no memory for a request; reap, then call again
//	EBUSY   too many completions wait in the kernel; reap, then call again
//	EBADR   completions were lost for lack of memory (OverflowCount)
//	EEXIST  SetupSingleIssuer: not the thread that submits
//	EBADFD  the ring is still disabled
//	EOWNERDEAD  the SetupSQPoll thread is gone
//
// With SetupSQPoll the number is how many entries have become visible to the
// kernel's thread, even if there is an error. The thread is woken only if it
// sleeps.
func (r *Ring) Submit() (uint32, error) {
	if !r.acquire() {
		return 0, ErrClosed
	}
	pending, fresh := r.publish()
	n, err := fresh, error(nil)
	switch {
	case pending == 0:
	case !r.sq.poll:
		n, err = r.enterRaw(pending, 0)
	case r.needsWakeup():
		_, err = r.enterRaw(pending, enterSQWakeup)
	}
	r.release()
	return n, err
}

// SubmitGetEvents is [Ring.Submit] with IORING_ENTER_GETEVENTS. It also runs
// deferred completion work (SetupDeferTaskrun, SetupCoopTaskrun), and moves
// completions that did not fit into the queue, without waiting for any. It
// always makes the system call. A call may leave work that it caused itself to
// the next one (seen on kernel 6.1, with NeedsTaskrun false in between).
func (r *Ring) SubmitGetEvents() (uint32, error) {
	if !r.acquire() {
		return 0, ErrClosed
	}
	submit, fresh, flags := r.toSubmit()
	n, err := r.enterRaw(submit, flags|enterGetEvents)
	r.release()
	if r.sq.poll {
		n = fresh
	}
	return n, err
}

// toSubmit publishes and works out io_uring_enter's arguments. To a ring with
// SetupSQPoll the call submits nothing; passing 0 lets it report how waiting
// ended, which it hides behind a number of entries otherwise.
func (r *Ring) toSubmit() (submit, fresh uint32, flags enterFlags) {
	pending, fresh := r.publish()
	if !r.sq.poll {
		return pending, fresh, 0
	}
	if pending != 0 && r.needsWakeup() {
		flags = enterSQWakeup
	}
	return 0, fresh, flags
}

// SubmitAndWait submits like [Ring.Submit], then waits until at least min
// completions are ready to be reaped, in one system call that the Go scheduler
// knows about. A negative timeout waits without limit; 0 does not wait.
//
// The result is that of Submit. It says how the wait ended only if no entry was
// consumed and no completion is ready: ETIME after the timeout, EINTR if a
// signal came first (call again; the Go runtime sends its threads signals now
// and then). Otherwise the error is nil even if the wait was cut short, and if
// only some entries were consumed there was no wait at all, so check
// Completions. With SetupSQPoll the end of the wait is also reported if entries
// were consumed. The completion of an OpTimeout ends the wait whatever min is.
//
// A timeout above 0 needs FeatExtArg (kernel 5.11). Without it the error is
// ENOSYS and nothing is submitted; use an OpTimeout there.
func (r *Ring) SubmitAndWait(min uint32, timeout time.Duration) (uint32, error) {
	return r.submitAndWait(min, 0, timeout)
}

// SubmitAndWaitMin is [Ring.SubmitAndWait] with two times. During minWait,
// rounded up to microseconds, it waits for min completions. After that it
// returns as soon as there is one, or when the timeout has passed, which counts
// from the start; a negative timeout means no limit. It needs FeatMinTimeout
// (kernel 6.12), otherwise the error is ENOSYS.
func (r *Ring) SubmitAndWaitMin(min uint32, minWait, timeout time.Duration) (uint32, error) {
	return r.submitAndWait(min, minWait, timeout)
}

func (r *Ring) submitAndWait(min uint32, minWait, timeout time.Duration) (uint32, error) {
	if !r.acquire() {
		return 0, ErrClosed
	}
	defer r.release()
	if err := r.canWait(minWait, timeout); err != nil {
		return 0, err
	}
	submit, fresh, flags := r.toSubmit()
	n, err := r.enterWaiting(submit, min, flags, minWait, timeout)
	if r.sq.poll {
		n = fresh
	}
	return n, err
}

// Wait waits as [Ring.SubmitAndWait] does, without submitting anything. It
// belongs to the completion side, so one goroutine may wait while another one
// submits.
func (r *Ring) Wait(min uint32, timeout time.Duration) error {
	if !r.acquire() {
		return ErrClosed
	}
	defer r.release()
	if err := r.canWait(0, timeout); err != nil {
		return err
	}
	_, err := r.enterWaiting(0, min, 0, 0, timeout)
	return err
}

// WaitSpace waits until Next can hand out an entry of a ring with SetupSQPoll
// (kernel 5.10); on other rings Submit makes room. It makes all entries taken
// so far visible to the kernel's thread, so they must be filled in. A chain
// (SQEIOLink) of which only a part was taken ends there.
func (r *Ring) WaitSpace() error {
	if !r.acquire() {
		return ErrClosed
	}
	defer r.release()
	for r.publish(); r.sq.poll && r.Space() == 0; {
		flags := enterSQWait
		if r.needsWakeup() {
			flags |= enterSQWakeup
		}
		// The kernel also comes back, without an error, when a signal came.
		if _, err := r.enter(0, 0, flags, nil, 0); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) canWait(minWait, timeout time.Duration) error {
	if timeout > 0 && !r.features.Has(FeatExtArg) || minWait > 0 && !r.features.Has(FeatMinTimeout) {
		return unix.ENOSYS
	}
	return nil
}

// waitArgument is what io_uring_enter reads while it waits. The ring owns it,
// on the heap: the address of the timespec is hidden in an integer, and a
// goroutine's stack may move before the call. One waiter at a time uses it.
type waitArgument struct {
	events  geteventsArg
	timeout Timespec
}

func (r *Ring) enterWaiting(submit, min uint32, flags enterFlags, minWait, timeout time.Duration) (uint32, error) {
	if timeout == 0 {
		min, minWait = 0, 0
	}
	flags |= enterGetEvents
	if min == 0 {
		return r.enter(submit, 0, flags, nil, 0)
	}
	flags |= r.waits
	if timeout < 0 && minWait <= 0 {
		return r.enter(submit, min, flags, nil, 0)
	}
	w := r.wait
	*w = waitArgument{events: geteventsArg{minWaitUsec: microseconds(minWait)}}
	if timeout > 0 {
		w.timeout = NewTimespec(timeout)
		// SAFETY: w is on the heap, which does not move, and lives as long as
		// the ring, which KeepAlive holds until the call has returned.
		w.events.timespec = uint64(uintptr(unsafe.Pointer(&w.timeout)))
	}
	n, err := r.enter(submit, min, flags|enterExtArg, unsafe.Pointer(&w.events), unsafe.Sizeof(w.events))
	runtime.KeepAlive(r)
	return n, err
}

// enter is io_uring_enter(2), known to the scheduler. The caller has acquired.
func (r *Ring) enter(submit, min uint32, flags enterFlags, arg unsafe.Pointer, size uintptr) (uint32, error) {
	if slot, ok := r.registered.get(); ok {
		n, errno := sys.EnterRing(slot, submit, min, uint32(flags|enterRegisteredRing), arg, size)
		if !wrongThread(errno) {
			return n, asError(errno)
		}
	}
	n, errno := sys.EnterRing(r.fd, submit, min, uint32(flags), arg, size)
	return n, asError(errno)
}

// enterRaw is the same without the scheduler, for calls that do not wait.
func (r *Ring) enterRaw(submit uint32, flags enterFlags) (uint32, error) {
	if slot, ok := r.registered.get(); ok {
		n, errno := sys.EnterRingRaw(slot, submit, 0, uint32(flags|enterRegisteredRing))
		if !wrongThread(errno) {
			return n, asError(errno)
		}
	}
	n, errno := sys.EnterRingRaw(r.fd, submit, 0, uint32(flags))
	return n, asError(errno)
}

func asError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
