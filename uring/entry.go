package uring

import "syscall"

// SQE is a submission entry, struct io_uring_sqe (64 bytes). [Ring.Next] hands
// out entries inside the queue that the kernel reads; the Prep methods fill
// them. An entry must not be touched after the call that submitted it.
//
// Most fields have several meanings in the kernel's header; the names here are
// those of the first one:
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

// CQE is a completion, struct io_uring_cqe (16 bytes).
type CQE struct {
	UserData uint64   // as in the entry that it completes
	Res      int32    // the result; below 0: an errno, negated
	Flags    CQEFlags // CQEF...
}

// CQE32 is a completion of 32 bytes, for rings with [SetupCQE32] or
// [SetupCQEMixed].
type CQE32 struct {
	CQE
	Extra [2]uint64
}

// Err is the result as an error: a [syscall.Errno] if Res is below 0, else nil.
func (c CQE) Err() error {
	if c.Res >= 0 {
		return nil
	}
	return syscall.Errno(-c.Res)
}

// More tells that the entry will have further completions: the memory it
// points to is still the kernel's.
func (c CQE) More() bool { return c.Flags&CQEFMore != 0 }

// Notification tells that this is the second completion of a zero-copy send,
// with which the kernel gives the memory back.
func (c CQE) Notification() bool { return c.Flags&CQEFNotif != 0 }

// BufferID is the id of the provided buffer that the kernel has chosen, and
// whether it has chosen one.
func (c CQE) BufferID() (uint16, bool) {
	return uint16(c.Flags >> CQEBufferShift), c.Flags&CQEFBuffer != 0
}
