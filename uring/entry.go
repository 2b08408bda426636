package uring

import "syscall"

// An SQE is a submission entry: struct io_uring_sqe, 64 bytes. Ring.Next
// returns entries inside the queue that the kernel reads; the Prep methods fill
// them in. An entry must not be touched after the call that submitted it.
//
// Most fields have several meanings in the kernel's header. The names here are
// those of the first meaning; the others are:
//
//	Off       addr2, cmd_op
//	Addr      splice_off_in, level and optname
//	OpFlags   rw_flags and all the other ..._flags, poll32_events
//	BufIndex  buf_group
//	FileIndex splice_fd_in, file_index, zcrx_ifq_idx, optlen, addr_len
//	Addr3     optval, attr_ptr, the command area of Ring.Command
type SQE struct {
	Opcode      Op
	Flags       SQEFlags
	Ioprio      uint16
	Fd          int32
	Off         uint64
	Addr        uint64
	Len         uint32
	OpFlags     uint32
	UserData    uint64
	BufIndex    uint16
	Personality uint16
	FileIndex   int32
	Addr3       uint64
	_           uint64
}

// A CQE is a completion: struct io_uring_cqe, 16 bytes.
type CQE struct {
	UserData uint64   // as in the entry that it completes
	Res      int32    // the result; below 0: an errno, negated
	Flags    CQEFlags // CQEF...
}

// A CQE32 is a completion of 32 bytes, for rings with SetupCQE32 or
// SetupCQEMixed.
type CQE32 struct {
	CQE
	Extra [2]uint64
}

// Err returns the result as an error: a syscall.Errno if Res is negative,
// otherwise nil.
func (c CQE) Err() error {
	if c.Res >= 0 {
		return nil
	}
	return syscall.Errno(-c.Res)
}

// More reports whether the entry will have further completions. If so, the
// kernel still owns the memory that the entry points to.
func (c CQE) More() bool { return c.Flags&CQEFMore != 0 }

// Notification reports whether this is the second completion of a zero-copy
// send, with which the kernel gives the memory back.
func (c CQE) Notification() bool { return c.Flags&CQEFNotif != 0 }

// BufferID returns the id of the provided buffer that the kernel chose, and
// whether it chose one.
func (c CQE) BufferID() (uint16, bool) {
	return uint16(c.Flags >> CQEBufferShift), c.Flags&CQEFBuffer != 0
}
