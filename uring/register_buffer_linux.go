package uring

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

type rsrcUpdate struct {
	offset uint32
	_      uint32
	data   uint64
}

type rsrcUpdate2 struct {
	offset uint32
	_      uint32
	data   uint64
	tags   uint64
	count  uint32
	_      uint32
}

type rsrcRegister struct {
	count uint32
	flags uint32
	_     uint64
	data  uint64
	tags  uint64
}

// rsrcRegisterSparse is IORING_RSRC_REGISTER_SPARSE (kernel 5.19).
const rsrcRegisterSparse = 1 << 0

// RegisterBuffers gives the kernel a table of buffers for PrepReadFixed,
// PrepWriteFixed and others, so that it need not look up and pin their pages
// for each request (IORING_REGISTER_BUFFERS, kernel 5.1). There are at most
// 16384 buffers of at most 1 GiB each; nil leaves a place empty (kernel 5.13).
// The memory counts against RLIMIT_MEMLOCK (ENOMEM). The error is EBUSY if
// there is a table already.
//
// The ring keeps the buffers reachable until they are replaced or unregistered,
// or the ring is closed. The rules for the memory of a request in flight apply
// in addition.
func (r *Ring) RegisterBuffers(buffers [][]byte) error {
	vectors := iovecs(buffers)
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	_, err := r.register(RegisterOpBuffers, unsafe.Pointer(unsafe.SliceData(vectors)), uint32(len(vectors)))
	if err == nil {
		r.keep.buffers = slices.Clone(buffers)
	}
	return err
}

// RegisterBuffersSparse makes a table of n empty places, to be filled with
// [Ring.RegisterBuffersUpdate] (IORING_RSRC_REGISTER_SPARSE, kernel 5.19).
func (r *Ring) RegisterBuffersSparse(n uint32) error {
	arg := &rsrcRegister{count: n, flags: rsrcRegisterSparse}
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	_, err := r.register(RegisterOpBuffers2, unsafe.Pointer(arg), uint32(unsafe.Sizeof(*arg)))
	if err == nil {
		r.keep.buffers = make([][]byte, n)
	}
	return err
}

// RegisterBuffersUpdate replaces the buffers from index offset on
// (IORING_REGISTER_BUFFERS_UPDATE, kernel 5.13). It returns how many it has
// replaced, which is fewer than requested if there was an error in between.
// tags is nil, or has a number for each new buffer; if that is not 0, a
// completion with this UserData is posted when the buffer has been replaced
// later and no request uses it any more.
func (r *Ring) RegisterBuffersUpdate(offset uint32, buffers [][]byte, tags []uint64) (int, error) {
	if tags != nil && len(tags) != len(buffers) {
		return 0, unix.EINVAL
	}
	vectors := iovecs(buffers)
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	n, err := r.updateResources(RegisterOpBuffersUpdate, offset, sliceAddress(vectors), sliceAddress(tags), len(vectors),
		unsafe.SliceData(vectors), unsafe.SliceData(tags))
	if err == nil {
		copy(r.keep.buffers[offset:], buffers[:n])
	}
	return n, err
}

// updateResources replaces places of a table; pins are what data and tags
// point to.
func (r *Ring) updateResources(op RegisterOp, offset uint32, data, tags uint64, n int, pins ...any) (got int, err error) {
	arg := &rsrcUpdate2{offset: offset, data: data, tags: tags, count: uint32(n)}
	pinned(func() {
		got, err = r.register(op, unsafe.Pointer(arg), uint32(unsafe.Sizeof(*arg)))
	}, pins...)
	return got, err
}

// UnregisterBuffers removes the table of buffers (kernel 5.1). Requests in
// flight finish with the buffers they have. Before kernel 6.13 it waits for
// them, including the notifications of zero-copy sends; with SetupDeferTaskrun,
// kernel 6.1 was seen to wait forever, so reap those first. The error is ENXIO
// if there is no table.
func (r *Ring) UnregisterBuffers() error {
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	_, err := r.register(RegisterOpUnregisterBuffers, nil, 0)
	if err == nil {
		r.keep.buffers = nil
	}
	return err
}

type cloneBuffers struct {
	srcFd  uint32
	flags  uint32
	srcOff uint32
	dstOff uint32
	count  uint32
	_      [3]uint32
}

const (
	cloneFromRegistered = 1 << 0 // IORING_REGISTER_SRC_REGISTERED: srcFd is an index
	cloneReplace        = 1 << 1 // IORING_REGISTER_DST_REPLACE
)

// CloneBuffers puts n registered buffers of another ring, starting at index
// fromOffset, into this ring's table at offset, without pinning them again. If
// n is 0, it means all. (IORING_REGISTER_CLONE_BUFFERS, kernel 6.12; offsets
// and replace, kernel 6.13.) The error is EBUSY if this ring has a table,
// unless replace is set: then the buffers may replace others. Both rings keep
// the buffers reachable.
func (r *Ring) CloneBuffers(from *Ring, fromOffset, offset, n uint32, replace bool) error {
	if from == r {
		return unix.EINVAL
	}
	if !from.acquire() {
		return ErrClosed
	}
	defer from.release()
	arg := &cloneBuffers{srcFd: uint32(from.fd), srcOff: fromOffset, dstOff: offset, count: n}
	if replace {
		arg.flags = cloneReplace
	}
	from.keep.mu.Lock()
	buffers := slices.Clone(from.keep.buffers)
	from.keep.mu.Unlock()
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	if _, err := r.register(RegisterOpCloneBuffers, unsafe.Pointer(arg), 1); err != nil {
		return err
	}
	buffers = buffers[min(int(fromOffset), len(buffers)):]
	if n != 0 {
		buffers = buffers[:min(int(n), len(buffers))]
	}
	if need := int(offset) + len(buffers); need > len(r.keep.buffers) {
		r.keep.buffers = append(r.keep.buffers, make([][]byte, need-len(r.keep.buffers))...)
	}
	copy(r.keep.buffers[offset:], buffers)
	return nil
}

func iovecs(buffers [][]byte) []unix.Iovec {
	vectors := make([]unix.Iovec, len(buffers))
	for i, b := range buffers {
		if len(b) != 0 {
			vectors[i].Base = unsafe.SliceData(b)
			vectors[i].SetLen(len(b))
		}
	}
	return vectors
}
