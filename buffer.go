package eddy

import (
	"math/bits"
	"sync"
	"unsafe"
)

// bufferAlign is what O_DIRECT asks of memory on every device there is.
const bufferAlign = 4096

// buffer is memory of the driver's for an operation that may be abandoned. It
// goes back to its pool when the operation has ended, not when its caller has
// left.
type buffer struct {
	file  *File  // a reference to it is held
	bytes []byte // as long as the transfer
	whole []byte // aligned; a power of two, if it is from a pool
}

// pools has one pool per size: 4 KiB, 8 KiB ... 1 MiB.
var pools [9]sync.Pool

func poolFor(n int) (index, size int) {
	index = bits.Len(uint(max(n-1, 0)) / bufferAlign)
	return index, bufferAlign << index
}

// lease takes a buffer for the transfer and, for a write, fills it. The buffer
// holds a reference to the file.
func lease(t transfer) *buffer {
	b := newBuffer(len(t.p))
	b.bytes = b.whole[:len(t.p)]
	if t.kind == kindWrite {
		copy(b.bytes, t.p)
	}
	// The caller of the operation holds a reference, so this one cannot fail.
	b.file = t.file
	t.file.refs.share()
	t.file.d.metrics.leases.Add(1)
	return b
}

// newBuffer takes a buffer from a pool, if there is one of such a size.
func newBuffer(n int) *buffer {
	index, size := poolFor(n)
	if index >= len(pools) {
		return &buffer{whole: aligned(n)}
	}
	if b, ok := pools[index].Get().(*buffer); ok {
		return b
	}
	return &buffer{whole: aligned(size)}
}

// Release gives the buffer and the file back. The kernel must be done with
// both.
func (b *buffer) Release() {
	f := b.file
	b.file = nil
	f.d.metrics.leases.Add(-1)
	if index, _ := poolFor(len(b.whole)); index < len(pools) {
		pools[index].Put(b)
	}
	f.releaseLater()
}

// aligned is size bytes that start at a multiple of bufferAlign.
func aligned(size int) []byte {
	whole := make([]byte, size+bufferAlign)
	// SAFETY: the address is only looked at, to find the first aligned byte;
	// heap objects do not move.
	past := int(uintptr(unsafe.Pointer(unsafe.SliceData(whole))) % bufferAlign)
	start := (bufferAlign - past) % bufferAlign
	return whole[start : start+size : start+size]
}
