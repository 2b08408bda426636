package uring

import "unsafe"

// Restriction is one rule of what a ring may be used for: an entry of
// RegisterRestrictions, struct io_uring_restriction. Make it with AllowOp,
// AllowRegister, AllowFlags or RequireFlags.
type Restriction struct {
	kind  restrictionKind
	value uint8
	_     uint8
	_     [3]uint32
}

type restrictionKind uint16

const (
	restrictRegisterOp restrictionKind = iota
	restrictOp
	restrictFlagsAllowed
	restrictFlagsRequired
)

// AllowRegister permits a registration opcode.
func AllowRegister(op RegisterOp) Restriction {
	return Restriction{kind: restrictRegisterOp, value: uint8(op)}
}

// AllowOp permits an opcode in entries.
func AllowOp(op Op) Restriction { return Restriction{kind: restrictOp, value: uint8(op)} }

// AllowFlags permits flags in entries.
func AllowFlags(flags SQEFlags) Restriction {
	return Restriction{kind: restrictFlagsAllowed, value: uint8(flags)}
}

// RequireFlags permits only entries that have the flags.
func RequireFlags(flags SQEFlags) Restriction {
	return Restriction{kind: restrictFlagsRequired, value: uint8(flags)}
}

// RegisterRestrictions limits the ring to what the rules allow, for good, once
// it is enabled; everything else fails with EACCES. Only on a ring made with
// SetupRDisabled that is not enabled yet (EBADFD), once (EBUSY).
// IORING_REGISTER_RESTRICTIONS, kernel 5.10.
func (r *Ring) RegisterRestrictions(rules ...Restriction) error {
	_, err := r.register(RegisterOpRestrictions, unsafe.Pointer(unsafe.SliceData(rules)), uint32(len(rules)))
	return err
}
