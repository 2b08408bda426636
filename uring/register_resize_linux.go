package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Resize gives the queues new sizes, which are rounded up to powers of two; a
// cqEntries of 0 means twice the submission queue
// (IORING_REGISTER_RESIZE_RINGS, kernel 6.13). Their contents stay, so each
// queue must have room for what is in it; otherwise the error is EOVERFLOW and
// nothing has changed.
//
// With SetupSQE128 or SetupCQE32 the queue of such entries must be empty (EBUSY):
// kernels without the fix of April 2026 (45cd95763e19, "fix ring resizing with
// mixed/large SQEs/CQEs") copy others than those in it.
//
// It needs SetupDeferTaskrun and SetupNoSQArray, and does not work with
// SetupNoMmap (EINVAL). It must be called by the thread that submits, while no
// other call uses the ring. Entries that Next returned before must have been
// filled in, and must not be touched afterwards.
func (r *Ring) Resize(entries, cqEntries uint32) error {
	if !r.acquire() {
		return ErrClosed
	}
	defer r.release()
	if r.flags&SetupNoMmap != 0 || r.flags&SetupNoSQArray == 0 {
		// The kernel would want new memory of ours; and it does not tell where
		// the new index array is (seen on 6.18: offset 0, the queue's head).
		return unix.EINVAL
	}
	if r.flags&SetupSQE128 != 0 && r.Queued() != 0 || r.flags&SetupCQE32 != 0 && r.Completions() != 0 {
		return unix.EBUSY
	}
	p := &params{sqEntries: entries, cqEntries: cqEntries}
	if cqEntries != 0 {
		p.flags = uint32(SetupCQSize)
	}
	// The kernel moves what it can see.
	r.publish()
	if _, err := r.register(RegisterOpResizeRings, unsafe.Pointer(p), 1); err != nil {
		return err
	}
	old := r.mappings
	r.mappings = nil
	if err := r.mapMemory(p); err != nil {
		// The kernel has left the old queues and the new ones are out of
		// reach: the ring is of no use any more.
		r.mappings = append(old, r.mappings...)
		r.life.close()
		return err
	}
	tail := r.sq.tail
	r.attach(p)
	r.sq.tail, r.sq.published = tail, tail
	var err error
	for _, m := range old {
		err = firstError(err, m.unmap())
	}
	return err
}
