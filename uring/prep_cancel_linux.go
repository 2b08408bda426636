package uring

// The flags of cancel requests (kernel 5.19, unless noted), for PrepCancel and
// similar methods, and for CancelMatch.Flags.
const (
	CancelAll      = 1 << 0 // all that match; the result is how many
	CancelFd       = 1 << 1 // match the file descriptor
	CancelAny      = 1 << 2 // match everything
	CancelFdFixed  = 1 << 3 // 6.0: the file descriptor is an index of the registered files
	CancelUserData = 1 << 4 // 6.6: match the user data as well
	CancelOp       = 1 << 5 // 6.6: match the opcode
)

// PrepCancel asks requests with the given user data to end. The result is 0
// (with CancelAll, how many there were), ENOENT if none was found, or EALREADY
// if it can no longer be stopped. Whatever the result, the requests are over
// only when their own terminal completions have come. OpAsyncCancel, kernel
// 5.5.
func (s *SQE) PrepCancel(userData uint64, flags uint32) {
	s.prep(OpAsyncCancel, -1, userData, 0, 0)
	s.OpFlags = flags
}

// PrepCancelFd is [SQE.PrepCancel] for the requests on a file descriptor: the
// latest one or, with CancelAll, all of them. OpAsyncCancel, kernel 5.19.
func (s *SQE) PrepCancelFd(fd int, flags uint32) {
	s.prep(OpAsyncCancel, fd, 0, 0, 0)
	s.OpFlags = flags | CancelFd
}

// PrepCancelOp is [SQE.PrepCancel] for the requests with an opcode.
// OpAsyncCancel, kernel 6.6.
func (s *SQE) PrepCancelOp(op Op, flags uint32) {
	s.prep(OpAsyncCancel, -1, 0, uint32(op), 0)
	s.OpFlags = flags | CancelOp
}
