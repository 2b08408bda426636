package uring

import (
	"time"
	"unsafe"
)

type syncCancelRegister struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout Timespec
	opcode  Op
	_       [7]uint8
	_       [3]uint64
}

// CancelMatch says which requests [Ring.SyncCancel] applies to.
type CancelMatch struct {
	UserData uint64 // the key, unless a flag names another one
	Fd       int    // with CancelFd
	Op       Op     // with CancelOp (kernel 6.6)
	Flags    uint32 // Cancel...
}

// SyncCancel asks the matching requests to end and waits until they are about
// to complete (IORING_REGISTER_SYNC_CANCEL, kernel 6.0). After the timeout the
// error is ETIME; a negative timeout means no limit. Their completions are
// posted as usual, and only those give memory back. The error is ENOENT if no
// request matches, and EINTR if a signal came: the requests were asked to end,
// so call again to wait.
func (r *Ring) SyncCancel(match CancelMatch, timeout time.Duration) error {
	arg := &syncCancelRegister{
		addr: match.UserData, fd: int32(match.Fd), flags: match.Flags, opcode: match.Op,
		timeout: Timespec{Sec: -1, Nsec: -1},
	}
	if timeout >= 0 {
		arg.timeout = NewTimespec(timeout)
	}
	_, err := r.register(RegisterOpSyncCancel, unsafe.Pointer(arg), 1)
	return err
}
