package uring

import (
	"runtime"
	"sync"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
)

// register is io_uring_register(2) with the descriptor held open.
func (r *Ring) register(op RegisterOp, arg unsafe.Pointer, n uint32) (int, error) {
	if !r.acquire() {
		return 0, ErrClosed
	}
	got, errno := sys.RegisterRing(r.fd, uint32(op), arg, n)
	r.release()
	return got, asError(errno)
}

// resources are what the kernel uses behind the ring's back for as long as it
// is registered.
type resources struct {
	mu          sync.Mutex
	buffers     [][]byte // by index: reachable, so that they are not freed
	bufferRings map[uint16]*BufferRing
}

func (k *resources) takeBufferRings() []mapping {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []mapping
	for _, b := range k.bufferRings {
		all = append(all, b.memory)
	}
	k.bufferRings = nil
	return all
}

func (k *resources) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buffers = nil
}

// address is the address of *p for the kernel, as an integer.
//
// SAFETY: the collector does not see the integer. The gate, which is never
// open, makes the compiler put *p on the heap, where it does not move; keeping
// it reachable until the kernel is done remains the caller's part.
func address(p unsafe.Pointer) uint64 {
	if escapeGate {
		escapeSink = p
	}
	return uint64(uintptr(p))
}

var (
	escapeGate bool
	//lint:ignore U1000 it is written so that what it points to escapes
	escapeSink unsafe.Pointer
)

// sliceAddress is the address of the first element, 0 if there is none.
func sliceAddress[T any](s []T) uint64 {
	if len(s) == 0 {
		return 0
	}
	return address(unsafe.Pointer(unsafe.SliceData(s)))
}

// pinned runs f while the memory behind each pointer is pinned. It is for
// structs that carry addresses in integers into a registration call.
func pinned(f func(), pointers ...any) {
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, p := range pointers {
		pin.Pin(p)
	}
	f()
}
