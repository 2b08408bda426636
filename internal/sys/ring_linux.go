package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetupRing is io_uring_setup(2) (Linux 5.1): it creates a ring with at least
// the given number of submission entries. params points to a struct
// io_uring_params that the kernel reads and fills in; memory that the struct
// refers to (SETUP_NO_MMAP) stays in use until the ring is closed.
// It does not block; safe for concurrent use.
func SetupRing(entries uint32, params unsafe.Pointer) (fd int, errno syscall.Errno) {
	// SAFETY: params belongs to the caller and is only used during the call;
	// the conversion stands in the call itself, which keeps it alive and in
	// place (unsafe.Pointer rule 4).
	r, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(params), 0)
	return int(r), errno
}

// EnterRing is io_uring_enter(2) (Linux 5.1) for calls that may block: the
// scheduler gives the thread's P to others after a while. arg is nil, or points
// to a struct io_uring_getevents_arg of size bytes when flags has
// IORING_ENTER_EXT_ARG; addresses inside of it must point to memory that does
// not move (heap, not a goroutine's stack) and that lives until the call
// returns. The result is the number of submission entries consumed.
// Safe for concurrent use as far as the ring's set-up flags allow.
func EnterRing(fd int, submit, minComplete, flags uint32, arg unsafe.Pointer, size uintptr) (uint32, syscall.Errno) {
	// SAFETY: arg belongs to the caller until the call returns; see SetupRing.
	r, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(submit),
		uintptr(minComplete), uintptr(flags), uintptr(arg), size)
	if errno != 0 {
		return 0, errno
	}
	return uint32(r), 0
}

// EnterRingRaw is EnterRing without a word to the Go scheduler: for calls that
// do not wait for completions. A thread that blocks in it blocks its P.
func EnterRingRaw(fd int, submit, minComplete, flags uint32) (uint32, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(submit),
		uintptr(minComplete), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return uint32(r), 0
}

// RegisterRing is io_uring_register(2) (Linux 5.1). arg points to what the
// opcode asks for and n is its count or size as the opcode defines it; for
// addresses inside of *arg the same holds as for EnterRing. It may block (some
// opcodes wait for requests in flight). The result depends on the opcode.
func RegisterRing(fd int, opcode uint32, arg unsafe.Pointer, n uint32) (int, syscall.Errno) {
	// SAFETY: arg belongs to the caller until the call returns; see SetupRing.
	r, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(opcode),
		uintptr(arg), uintptr(n), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// CloseRing is close(2), once: on Linux the number is free even after EINTR or
// another error, so that a second attempt could close somebody else's file.
func CloseRing(fd int) error { return unix.Close(fd) }
