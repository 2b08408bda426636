package uring

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// The kernel keeps registered ring descriptors per thread, 16 of them
// (IO_RINGFD_REG_MAX), and an index means something only on the thread that
// registered it. Goroutines roam, so an index may be used on any thread. What
// keeps that safe: no two rings of this process ever use the same index (it is
// chosen here, process-wide), so that on another thread the place is empty.
// The kernel then answers EBADF or EINVAL without having done anything, and
// the call is made again with the real descriptor. Code outside of this package
// that registers rings is not covered; RegisterRingFd says so.
const (
	ringSlots = 16
	noSlot    = -1
)

// slots says who has each index.
//
//	slotFree   nobody
//	thread id  a ring registered by that thread
//	-thread id the ring is closed, the registration still there: only its thread
//	           could have removed it. The index is free when the thread exits.
var slots struct {
	mu    sync.Mutex
	owner [ringSlots]int
}

const slotFree = 0

func takeSlot(thread int) int32 {
	slots.mu.Lock()
	defer slots.mu.Unlock()
	for i, owner := range slots.owner {
		if owner == slotFree || owner < 0 && threadGone(-owner) {
			slots.owner[i] = thread
			return int32(i)
		}
	}
	return noSlot
}

func freeSlot(slot int32) {
	slots.mu.Lock()
	slots.owner[slot] = slotFree
	slots.mu.Unlock()
}

func abandonSlot(slot int32) {
	slots.mu.Lock()
	slots.owner[slot] = -slots.owner[slot]
	slots.mu.Unlock()
}

// threadGone may be wrong only when it says no: the number was given to another
// thread.
func threadGone(thread int) bool {
	return unix.Tgkill(unix.Getpid(), thread, 0) == unix.ESRCH
}

// registeredFd is the ring's own place among the registered ones.
type registeredFd struct {
	slot   atomic.Int32 // noSlot: none
	thread atomic.Int32 // the one that registered
}

func (f *registeredFd) get() (slot int, ok bool) {
	s := f.slot.Load()
	return int(s), s >= 0
}

// wrongThread tells that a registered index means nothing on this thread.
func wrongThread(errno syscall.Errno) bool {
	return errno == unix.EBADF || errno == unix.EINVAL
}

// RegisterRingFd registers the ring's descriptor for the calling thread, which
// makes entering the kernel for it a little cheaper (IORING_REGISTER_RING_FDS,
// kernel 5.18). Lock the goroutine to its thread (runtime.LockOSThread) and
// enter from there; on other threads every call then costs an additional system
// call, and if code outside of this package (liburing, say) has registered a ring
// at the same index there, the call enters that ring instead.
//
// Call UnregisterRingFd and Close on the same thread, or after it has exited.
// Otherwise the registration keeps the ring alive until that thread exits.
// Until then it also takes up one of the 16 indexes that this package has for
// all rings of the process.
//
// The error is ErrRingFdBusy if the ring is registered already, ENOSPC if no
// index is left, and EBUSY if code outside of this package has taken the index
// on this thread.
func (r *Ring) RegisterRingFd() error {
	if !r.acquire() {
		return ErrClosed
	}
	defer r.release()
	r.keep.mu.Lock() // of several concurrent calls one goes on
	defer r.keep.mu.Unlock()
	if _, ok := r.registered.get(); ok {
		return ErrRingFdBusy
	}
	thread := unix.Gettid()
	slot := takeSlot(thread)
	if slot == noSlot {
		return unix.ENOSPC
	}
	update := &rsrcUpdate{offset: uint32(slot), data: uint64(r.fd)}
	if _, errno := sys.RegisterRing(r.fd, uint32(RegisterOpRingFds), unsafe.Pointer(update), 1); errno != 0 {
		freeSlot(slot)
		return errno
	}
	r.registered.thread.Store(int32(thread))
	r.registered.slot.Store(slot)
	return nil
}

// ErrRingFdBusy is returned by RegisterRingFd if the ring is already
// registered.
var ErrRingFdBusy = errors.New("uring: the ring's descriptor is registered already")

// ErrWrongThread is returned by UnregisterRingFd on a thread other than the one
// that registered the ring. The registration is then out of reach.
var ErrWrongThread = errors.New("uring: the ring's descriptor was registered by another thread")

// UnregisterRingFd undoes [Ring.RegisterRingFd], on the same thread. Without a
// registration it does nothing. On another thread it stops using the
// registration and returns ErrWrongThread.
func (r *Ring) UnregisterRingFd() error {
	if !r.acquire() {
		return ErrClosed
	}
	defer r.release()
	return r.unregisterOwnFd()
}

func (r *Ring) unregisterOwnFd() error {
	slot := r.registered.slot.Swap(noSlot)
	if slot == noSlot {
		return nil
	}
	if thread := int(r.registered.thread.Load()); thread != unix.Gettid() {
		if threadGone(thread) {
			freeSlot(slot)
			return nil
		}
		abandonSlot(slot)
		return ErrWrongThread
	}
	update := &rsrcUpdate{offset: uint32(slot)}
	if _, errno := sys.RegisterRing(r.fd, uint32(RegisterOpUnregisterRingFds), unsafe.Pointer(update), 1); errno != 0 {
		return errno
	}
	freeSlot(slot)
	return nil
}
