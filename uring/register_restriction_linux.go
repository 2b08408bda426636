package uring

import "unsafe"

// A Restriction is one rule for what a ring may be used for: an entry of
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

// AllowRegister permits the registration opcode.
func AllowRegister(op RegisterOp) Restriction {
	return Restriction{kind: restrictRegisterOp, value: uint8(op)}
}

// AllowOp permits entries to have the opcode.
func AllowOp(op Op) Restriction { return Restriction{kind: restrictOp, value: uint8(op)} }

// AllowFlags permits entries to have the flags.
func AllowFlags(flags SQEFlags) Restriction {
	return Restriction{kind: restrictFlagsAllowed, value: uint8(flags)}
}

// RequireFlags permits only entries that have all of the flags.
func RequireFlags(flags SQEFlags) Restriction {
	return Restriction{kind: restrictFlagsRequired, value: uint8(flags)}
}

// RegisterRestrictions limits the ring, once it is enabled and for good, to
// what the rules allow; everything else fails with EACCES
// (IORING_REGISTER_RESTRICTIONS, kernel 5.10). It is possible only on a ring
// made with SetupRDisabled that has not been enabled yet (EBADFD otherwise),
// and only once (EBUSY).
func (r *Ring) RegisterRestrictions(rules ...Restriction) error {
	_, err := r.register(RegisterOpRestrictions, unsafe.Pointer(unsafe.SliceData(rules)), uint32(len(rules)))
	return err
}
