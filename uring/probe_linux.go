package uring

import "unsafe"

// A Probe is the set of opcodes that a kernel supports.
type Probe struct {
	supported [probeOps / 64]uint64
	last      Op
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
