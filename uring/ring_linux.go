package uring

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
)

// A Ring is one io_uring: a submission queue and a completion queue that are
// shared with the kernel. [New] makes one. The package comment says which
// methods may be called concurrently. A Ring must not be copied.
type Ring struct {
	life     lifetime
	fd       int
	flags    SetupFlags
	features Features
	waits    enterFlags // added to every enter that may sleep

	sq         submission
	cq         completion
	mappings   []mapping
	registered registeredFd
	wait       *waitArgument

	keep resources
}

// Config says what kind of ring [New] makes. The zero value makes a ring that
// works on every kernel since 5.4.
type Config struct {
	// CQEntries is the size of the completion queue, which the kernel rounds up to a
	// power of two. 0 means twice the submission queue; any other value must be at
	// least the number of submission entries. Kernel 5.5.
	CQEntries uint32

	// Flags are required: New fails if the kernel does not accept them.
	Flags SetupFlags

	// Optional flags are dropped one after another, the newest first, as long as the
	// kernel returns EINVAL. A flag that needs a dropped one is dropped with it
	// (DEFER_TASKRUN needs SINGLE_ISSUER). Ring.SetupFlags tells which were accepted.
	Optional SetupFlags

	// SQThreadCPU is the processor of the SetupSQPoll thread. It is used with
	// SetupSQAff.
	SQThreadCPU uint32

	// SQThreadIdle is how long the SetupSQPoll thread stays awake without work,
	// rounded up to milliseconds. 0 means the kernel's default, one second.
	SQThreadIdle time.Duration

	// AttachFd is the descriptor of the ring to share workers with. It is used with
	// SetupAttachWQ.
	AttachFd int

	// NoIOWait keeps a thread that waits for completions from being counted as
	// waiting for a disk. It has no effect before kernel 6.15.
	NoIOWait bool
}

// submission is our half of the submission queue.
//
//	[kernelHead, published)  visible to the kernel, not consumed yet
//	[published, tail)        taken with Next, not visible yet
//	[tail, kernelHead+size)  free
//
// All counters run freely and wrap at 32 bits.
type submission struct {
	kernelHead *uint32 // written by the kernel
	kernelTail *uint32 // written by us
	flags      *uint32 // written by the kernel
	dropped    *uint32 // written by the kernel
	entries    unsafe.Pointer
	size       uint32
	mask       uint32
	shift      uint8 // log2 of an entry's size: 6, or 7 with SetupSQE128
	poll       bool  // SetupSQPoll
	tail       uint32
	published  uint32
}

// completion is our half of the completion queue.
type completion struct {
	kernelHead *uint32 // written by us
	kernelTail *uint32 // written by the kernel
	overflow   *uint32 // written by the kernel
	flags      *uint32 // written by us
	entries    unsafe.Pointer
	size       uint32
	mask       uint32
	shift      uint8 // log2 of an entry's size: 4, or 5 with SetupCQE32
	mixed      bool  // SetupCQEMixed
}

// Fd returns the ring's file descriptor, or -1 if the ring is closed. It is
// close-on-exec, and readable (poll(2), epoll(7)) while there are completions
// to reap.
func (r *Ring) Fd() int {
	if r.life.closed() {
		return -1
	}
	return r.fd
}

// Features returns the features that the kernel reported at set-up.
func (r *Ring) Features() Features { return r.features }

// SetupFlags returns the flags that the ring was made with: Config.Flags, the
// accepted ones of Config.Optional, and SetupCQSize if Config.CQEntries was
// given.
func (r *Ring) SetupFlags() SetupFlags { return r.flags }

// SQEntries returns the size of the submission queue.
func (r *Ring) SQEntries() uint32 { return r.sq.size }

// CQEntries returns the size of the completion queue, in entries of 16 bytes,
// or of 32 bytes if the ring has SetupCQE32.
func (r *Ring) CQEntries() uint32 { return r.cq.size }

// Overflowed reports whether completions that did not fit the queue are waiting
// in the kernel: reap, then call SubmitGetEvents to get them. They are not lost
// (FeatNoDrop, kernel 5.5). Kernels before 5.8 do not set this flag. It may be
// called concurrently.
func (r *Ring) Overflowed() bool { return r.sqFlag(sqCQOverflow) }

// NeedsTaskrun reports whether completion work is waiting for a call of
// SubmitGetEvents. It needs SetupTaskrunFlag (kernel 5.19). It may be called
// concurrently.
func (r *Ring) NeedsTaskrun() bool { return r.sqFlag(sqTaskrun) }

// Dropped returns the number of entries that the kernel refused to read because
// their index was invalid. It is 0 unless the ring's memory was damaged.
func (r *Ring) Dropped() uint32 {
	if !r.acquire() {
		return 0
	}
	defer r.release()
	return atomic.LoadUint32(r.sq.dropped)
}

// OverflowCount returns the number of completions that were lost. With
// FeatNoDrop those are only completions for which the kernel found no memory
// (io_uring_enter then fails with EBADR). Before kernel 5.5 they are all that
// did not fit the queue.
func (r *Ring) OverflowCount() uint32 {
	if !r.acquire() {
		return 0
	}
	defer r.release()
	return atomic.LoadUint32(r.cq.overflow)
}

func (r *Ring) sqFlag(bit uint32) bool {
	if !r.acquire() {
		return false
	}
	defer r.release()
	return atomic.LoadUint32(r.sq.flags)&bit != 0
}

// Enable starts a ring that was made with SetupRDisabled (kernel 5.10). With
// SetupSingleIssuer, the calling thread becomes the one that submits. If the
// ring is already running, the error is EBADFD.
func (r *Ring) Enable() error {
	_, err := r.register(RegisterOpEnableRings, nil, 0)
	return err
}

// Close unmaps the queues and closes the file descriptor. A second Close is
// harmless. Next, Reap, and Add and Advance of its buffer rings must not be
// running. Calls that are inside the kernel for the ring, such as a
// SubmitAndWait on another goroutine, are not woken; the descriptor is closed,
// and its number free for reuse, when the last of them returns.
//
// Closing does not end requests. The kernel cancels them afterwards, in its own
// time, and may still read and write their memory, so cancel them and reap
// their completions first. A request on the ring's own descriptor (a poll of
// itself, or of a ring that polls this one) keeps the ring open, and the kernel
// then cancels nothing before the process exits.
func (r *Ring) Close() error {
	if !r.life.close() {
		return nil
	}
	return r.destroy()
}

// acquire keeps the file descriptor open until release.
func (r *Ring) acquire() bool { return r.life.acquire() }

func (r *Ring) release() {
	if r.life.release() {
		// Close has returned long ago: nobody is left to report an error to,
		// and munmap(2) and close(2) of our own memory and number fail only
		// for reasons that make them done anyway.
		_ = r.destroy()
	}
}

// destroy runs exactly once, when the ring is closed and no call is in flight.
func (r *Ring) destroy() error {
	err := r.unregisterOwnFd()
	for _, m := range r.keep.takeBufferRings() {
		err = firstError(err, m.unmap())
	}
	for _, m := range r.mappings {
		err = firstError(err, m.unmap())
	}
	r.mappings = nil
	r.keep.drop()
	return firstError(err, sys.CloseRing(r.fd))
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// lifetime counts the calls that use the file descriptor, so that its number
// is not given back to the system (and to somebody else's file) under them.
//
//	bit 62     closed: no call may begin
//	bits 0-31  calls in flight
//
// Whoever brings the word to "closed, none in flight" destroys the ring.
type lifetime struct{ word atomic.Int64 }

const lifetimeClosed = 1 << 62

func (l *lifetime) closed() bool { return l.word.Load()&lifetimeClosed != 0 }

func (l *lifetime) acquire() bool {
	for {
		w := l.word.Load()
		if w&lifetimeClosed != 0 {
			return false
		}
		if l.word.CompareAndSwap(w, w+1) {
			return true
		}
	}
}

// release reports whether the caller has to destroy the ring.
func (l *lifetime) release() bool { return l.word.Add(-1) == lifetimeClosed }

// close reports whether the caller has to destroy the ring: false when it was
// closed before or when calls are in flight.
func (l *lifetime) close() bool {
	for {
		w := l.word.Load()
		if w&lifetimeClosed != 0 {
			return false
		}
		if l.word.CompareAndSwap(w, w|lifetimeClosed) {
			return w == 0
		}
	}
}
