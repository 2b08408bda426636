package uring

import "golang.org/x/sys/unix"

// The flags of futex operations: the size of the word, and whether it is
// private to the process (linux/futex.h, FUTEX2_...).
const (
	FutexSize32  = 2
	FutexPrivate = 128
)

// FutexMatchAny is the mask that matches every waiter.
const FutexMatchAny = 0xffffffff

// PrepFutexWait waits for a wake of word (PrepFutexWake or futex(2)) if word
// still has the value; otherwise the result is EAGAIN. The kernel uses word
// until the completion. OpFutexWait, kernel 6.7.
func (s *SQE) PrepFutexWait(word *uint32, value, mask uint64, futexFlags, flags uint32) {
	s.prep(OpFutexWait, int(futexFlags), pointer(word), 0, value)
	s.OpFlags, s.Addr3 = flags, mask
}

// PrepFutexWake wakes up to n waiters of word; the result is how many. The
// kernel uses word until the completion. OpFutexWake, kernel 6.7.
func (s *SQE) PrepFutexWake(word *uint32, n, mask uint64, futexFlags, flags uint32) {
	s.prep(OpFutexWake, int(futexFlags), pointer(word), 0, n)
	s.OpFlags, s.Addr3 = flags, mask
}

// A FutexWaiter is one word of PrepFutexWaitv: struct futex_waitv. Make it with
// [NewFutexWaiter].
type FutexWaiter struct {
	value uint64
	addr  uint64
	flags uint32
	_     uint32
}

// NewFutexWaiter returns a waiter that waits on word if the word has the given
// value. futexFlags are FutexSize32 and FutexPrivate. The kernel uses word
// until the completion.
func NewFutexWaiter(word *uint32, value uint64, futexFlags uint32) FutexWaiter {
	return FutexWaiter{value: value, addr: pointer(word), flags: futexFlags}
}

// PrepFutexWaitv waits for a wake of any of up to 128 words; the result is the
// index of the one that was woken. It is EAGAIN if one of them does not have
// its value. The kernel uses waiters and their words until the completion.
// OpFutexWaitv, kernel 6.7, futex_waitv(2).
func (s *SQE) PrepFutexWaitv(waiters []FutexWaiter, flags uint32) {
	s.prep(OpFutexWaitv, 0, sliceAddress(waiters), uint32(len(waiters)), 0)
	s.OpFlags = flags
}

// PrepWaitid waits for a child process, with kind P_PID and so on, and options
// WEXITED and so on. The kernel uses info until the completion. OpWaitid,
// kernel 6.7, waitid(2).
func (s *SQE) PrepWaitid(kind uint32, id int, info *unix.Siginfo, options uint32) {
	s.prep(OpWaitid, id, 0, kind, pointer(info))
	s.FileIndex = int32(options)
}

// PrepFilesUpdate is [Ring.RegisterFilesUpdate] as a request; the result is how
// many places were dealt with. The kernel uses fds until the completion.
// OpFilesUpdate, kernel 5.6.
func (s *SQE) PrepFilesUpdate(offset uint32, fds []int32) {
	s.prep(OpFilesUpdate, -1, sliceAddress(fds), uint32(len(fds)), uint64(offset))
}

// PrepProvideBuffers gives the kernel n buffers of size bytes each, which lie
// one after the other in p, as a group, with ids counted from first. The kernel
// owns p until the buffers have come back. Since kernel 5.19 a [BufferRing] is
// the better way. OpProvideBuffers, kernel 5.7.
func (s *SQE) PrepProvideBuffers(p []byte, size uint32, n int, group, first uint16) {
	s.prep(OpProvideBuffers, n, sliceAddress(p), size, uint64(first))
	s.BufIndex = group
}

// PrepRemoveBuffers takes up to n buffers of a group back from the kernel; the
// result is how many. OpRemoveBuffers, kernel 5.7.
func (s *SQE) PrepRemoveBuffers(n int, group uint16) {
	s.prep(OpRemoveBuffers, n, 0, 0, 0)
	s.BufIndex = group
}

// PrepCommand performs a command that is specific to the kind of file, like
// ioctl(2). Its argument goes into [Ring.Command]. OpUringCmd, kernel 5.19.
func (s *SQE) PrepCommand(fd int, command uint32) {
	s.prep(OpUringCmd, fd, 0, 0, commandWord(command))
}

// commandWord puts cmd_op into the half of Off in which it lies.
func commandWord(command uint32) uint64 {
	if bigEndian {
		return uint64(command) << 32
	}
	return uint64(command)
}

// The commands of sockets, for PrepSocketOption and PrepCommand.
const (
	SocketInq        = 0 // 6.6: bytes to be read
	SocketOutq       = 1 // 6.6: bytes not yet sent
	SocketGetOption  = 2 // 6.7
	SocketSetOption  = 3 // 6.7
	SocketTimestamps = 4 // 6.17
	SocketName       = 5 // after 6.18
)

// PrepSocketOption is getsockopt(2) or setsockopt(2): command is
// SocketGetOption (with level SOL_SOCKET only) or SocketSetOption. The kernel
// uses value until the completion. OpUringCmd, kernel 6.7.
func (s *SQE) PrepSocketOption(command uint32, fd int, level, option uint32, value []byte) {
	s.PrepCommand(fd, command)
	if s.Addr = uint64(option)<<32 | uint64(level); bigEndian {
		s.Addr = uint64(level)<<32 | uint64(option)
	}
	s.FileIndex, s.Addr3 = int32(len(value)), sliceAddress(value)
}
