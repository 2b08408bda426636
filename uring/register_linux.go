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

// probeOps is how many opcodes fit the kernel's answer.
const probeOps = 256

type probeOp struct {
	op    uint8
	_     uint8
	flags uint16
	_     uint32
}

type probeHeader struct {
	lastOp uint8
	opsLen uint8
	_      uint16
	_      [3]uint32
}

type probeAnswer struct {
	probeHeader
	ops [probeOps]probeOp
}

// opSupported is IO_URING_OP_SUPPORTED.
const opSupported = 1 << 0

// A Probe is the set of opcodes that a kernel supports.
type Probe struct {
	supported [probeOps / 64]uint64
	last      Op
}

// Probe asks the kernel which opcodes it supports (IORING_REGISTER_PROBE,
// kernel 5.6; EINVAL before). The answer does not change until the next boot.
func (r *Ring) Probe() (Probe, error) {
	answer := new(probeAnswer)
	if _, err := r.register(RegisterOpProbe, unsafe.Pointer(answer), probeOps); err != nil {
		return Probe{}, err
	}
	p := Probe{last: Op(answer.lastOp)}
	for _, o := range answer.ops[:answer.opsLen] {
		if o.flags&opSupported != 0 {
			p.supported[o.op/64] |= 1 << (o.op % 64)
		}
	}
	return p, nil
}

// Supports reports whether the kernel supports the opcode.
func (p Probe) Supports(op Op) bool { return p.supported[op/64]&(1<<(op%64)) != 0 }

// Last returns the highest opcode that the kernel knows.
func (p Probe) Last() Op { return p.last }

// Ops returns the supported opcodes, including those that this package does not
// know.
func (p Probe) Ops() []Op {
	var ops []Op
	for op := range probeOps {
		if p.Supports(Op(op)) {
			ops = append(ops, Op(op))
		}
	}
	return ops
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
