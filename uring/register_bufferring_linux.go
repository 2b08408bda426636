package uring

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A BufferRing is a queue of buffers (IORING_REGISTER_PBUF_RING, kernel 5.19).
// When a request with SQEBufferSelect and this group has data, the kernel takes
// the next buffer for it, and the completion names that buffer (CQE.BufferID).
// Add the buffer again when its data has been dealt with.
//
// The kernel owns a buffer from Advance until a completion names it, or until
// UnregisterBufferRing. The BufferRing keeps its buffers reachable for at least
// that long. The caller has to pin them (runtime.Pinner). The methods may be
// called by one goroutine at a time.
type BufferRing struct {
	ring    *Ring
	memory  mapping
	group   uint16
	mask    uint16
	tail    uint16 // the next free entry; those in [published, tail) await Advance
	visible uint16 // what the kernel knows as the tail
	firstID uint16 // the id in entry 0, next to which the tail lies
	gone    atomic.Bool
	kept    []*byte // by buffer id
}

// BufferRingFlags are the flags of [Ring.RegisterBufferRing].
type BufferRingFlags uint16

// BufferRingIncremental lets the kernel use a buffer in several pieces
// (IOU_PBUF_RING_INC, kernel 6.12). A completion with CQEFBufMore leaves the
// rest of the buffer in the ring; the next data then starts where the data of
// that completion ended.
const BufferRingIncremental BufferRingFlags = 2

// providedBuffer is struct io_uring_buf. The last field of the first entry is
// the ring's tail.
type providedBuffer struct {
	addr   uint64
	length uint32
	id     uint16
	tail   uint16
}

type bufferRingRegister struct {
	ringAddr    uint64
	ringEntries uint32
	group       uint16
	flags       uint16
	minLeft     uint32
	_           [5]uint32
}

type bufferRingStatus struct {
	group uint32
	head  uint32
	_     [8]uint32
}

// RegisterBufferRing makes an empty buffer ring and gives it to the kernel as
// the given group. entries is a power of two up to 32768. The error is EEXIST
// if the ring already has that group, and EINVAL for other sizes or unknown
// flags.
//
// Kernel 6.1 remembers its position in a group below 64 after the group was
// unregistered (seen on 6.1), and would take a new ring's buffers from there.
// Use a number that was not used before.
func (r *Ring) RegisterBufferRing(entries uint32, group uint16, flags BufferRingFlags) (*BufferRing, error) {
	if entries == 0 || entries > 1<<15 || entries&(entries-1) != 0 {
		return nil, unix.EINVAL
	}
	if !r.acquire() {
		return nil, ErrClosed
	}
	defer r.release()
	memory, err := mapShared(-1, 0, pages(uintptr(entries)*unsafe.Sizeof(providedBuffer{})))
	if err != nil {
		return nil, err
	}
	// SAFETY: the kernel pins the mapping's pages; the mapping itself stays
	// until the ring has been unregistered or closed.
	arg := &bufferRingRegister{
		ringAddr:    uint64(uintptr(memory.base)),
		ringEntries: entries,
		group:       group,
		flags:       uint16(flags),
	}
	if _, err := r.register(RegisterOpPbufRing, unsafe.Pointer(arg), 1); err != nil {
		_ = memory.unmap() // the registration's error is the one that matters
		return nil, err
	}
	b := &BufferRing{ring: r, memory: memory, group: group, mask: uint16(entries - 1)}
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	if r.keep.bufferRings == nil {
		r.keep.bufferRings = make(map[uint16]*BufferRing)
	}
	r.keep.bufferRings[group] = b
	return b, nil
}

// UnregisterBufferRing takes the buffer ring from the kernel and frees its
// memory. End the requests that use the group first, because those in flight
// may still hold a buffer. The error is EINVAL if the buffer ring is not this
// ring's, or was unregistered before.
func (r *Ring) UnregisterBufferRing(b *BufferRing) error {
	if b.ring != r {
		return unix.EINVAL
	}
	// Held to the end: Close frees the same memory.
	if !r.acquire() {
		return ErrClosed
	}
	defer r.release()
	if !b.gone.CompareAndSwap(false, true) {
		return unix.EINVAL
	}
	arg := &bufferRingRegister{group: b.group}
	if _, err := r.register(RegisterOpUnregisterPbufRing, unsafe.Pointer(arg), 1); err != nil {
		b.gone.Store(false)
		return err
	}
	r.keep.mu.Lock()
	if r.keep.bufferRings[b.group] == b { // the group may have been taken again
		delete(r.keep.bufferRings, b.group)
	}
	r.keep.mu.Unlock()
	b.kept = nil
	return b.memory.unmap()
}

// Group returns the number of the group, for PrepRecvSelect and similar
// methods.
func (b *BufferRing) Group() uint16 { return b.group }

// Entries returns how many buffers can be in the ring at the same time. Nothing
// prevents adding more, which overwrites the oldest.
func (b *BufferRing) Entries() int { return int(b.mask) + 1 }

// Add puts a buffer into the ring, under an id that the caller chooses. The
// kernel sees it after Advance. A p longer than MaxReadWrite is cut to that.
// After UnregisterBufferRing or Close, Add does nothing.
func (b *BufferRing) Add(p []byte, id uint16) {
	if b.dead() {
		return
	}
	if int(id) >= len(b.kept) {
		b.kept = append(b.kept, make([]*byte, int(id)+1-len(b.kept))...)
	}
	b.kept[id] = unsafe.SliceData(p)
	i := b.tail & b.mask
	e := b.entry(i)
	e.addr, e.length, e.id = sliceAddress(p), transferLength(len(p)), id
	if i == 0 {
		b.firstID = id
	}
	b.tail++
}

// Advance makes the first n of the buffers added since the last call visible to
// the kernel. If n is larger than their number, it means all.
func (b *BufferRing) Advance(n int) {
	if b.dead() || n <= 0 {
		return
	}
	b.visible += uint16(min(n, int(b.tail-b.visible)))
	// Pairs with the kernel's smp_load_acquire of the 16-bit tail: whoever
	// sees it sees the entries below. Go's smallest atomic has 32 bits, so the
	// id of the first entry, which lies before the tail, is written with it,
	// unchanged; the kernel never writes that one.
	atomic.StoreUint32(b.tailWord(), tailAndID(b.visible, b.firstID))
}

// Head returns the position from which the kernel takes the next buffer,
// counted from the first one ever and wrapping at 16 bits
// (IORING_REGISTER_PBUF_STATUS, kernel 6.8).
func (b *BufferRing) Head() (uint16, error) {
	arg := &bufferRingStatus{group: uint32(b.group)}
	if _, err := b.ring.register(RegisterOpPbufStatus, unsafe.Pointer(arg), 1); err != nil {
		return 0, err
	}
	return uint16(arg.head), nil
}

// Available returns how many buffers the kernel can still take. It needs what
// [BufferRing.Head] needs.
func (b *BufferRing) Available() (int, error) {
	head, err := b.Head()
	return int(b.visible - head), err
}

func (b *BufferRing) dead() bool { return b.gone.Load() || b.ring.life.closed() }

// SAFETY for both: the index is masked into the mapping, which stays until the
// BufferRing is dead.
func (b *BufferRing) entry(i uint16) *providedBuffer {
	return (*providedBuffer)(unsafe.Add(b.memory.base, uintptr(i)*unsafe.Sizeof(providedBuffer{})))
}

func (b *BufferRing) tailWord() *uint32 {
	return (*uint32)(unsafe.Add(b.memory.base, unsafe.Offsetof(providedBuffer{}.id)))
}

// tailAndID lays the two out as they lie in memory.
func tailAndID(tail, id uint16) uint32 {
	if bigEndian {
		return uint32(id)<<16 | uint32(tail)
	}
	return uint32(tail)<<16 | uint32(id)
}
