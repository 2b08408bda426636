package uring

import (
	"sync/atomic"
	"unsafe"
)

// RegisterEventfd makes the kernel add to an eventfd(2) when it posts
// completions (IORING_REGISTER_EVENTFD, kernel 5.2). The counter is a hint to
// look, not the number of completions. The error is EBUSY if an eventfd is
// registered already.
func (r *Ring) RegisterEventfd(fd int) error { return r.registerEventfd(RegisterOpEventfd, fd) }

// RegisterEventfdAsync is [Ring.RegisterEventfd] for completions that a kernel
// worker thread posts. Those that are posted during the submission, or when a
// file has become ready, do not change the counter.
// IORING_REGISTER_EVENTFD_ASYNC, kernel 5.6.
func (r *Ring) RegisterEventfdAsync(fd int) error {
	return r.registerEventfd(RegisterOpEventfdAsync, fd)
}

func (r *Ring) registerEventfd(op RegisterOp, fd int) error {
	arg := int32(fd)
	_, err := r.register(op, unsafe.Pointer(&arg), 1)
	return err
}

// UnregisterEventfd undoes RegisterEventfd and RegisterEventfdAsync. The error
// is ENXIO if none is registered.
func (r *Ring) UnregisterEventfd() error {
	_, err := r.register(RegisterOpUnregisterEventfd, nil, 0)
	return err
}

// EnableEventfd switches the notifications of the registered eventfd on or off,
// without a system call. The result is false if the kernel cannot do that
// (before 5.8). It belongs to the completion side.
func (r *Ring) EnableEventfd(on bool) bool {
	if r.life.closed() || r.cq.flags == nil {
		return false
	}
	// Only we write this word; the kernel reads it when it posts. A completion
	// that is being posted at this moment may go either way.
	if on {
		atomic.StoreUint32(r.cq.flags, 0)
	} else {
		atomic.StoreUint32(r.cq.flags, cqEventfdDisabled)
	}
	return true
}
