//go:build !race

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive is recvfrom(2) without flags or an address, on a non-blocking socket.
// Up to rawLimit bytes it does not tell the scheduler, since it cannot block.
func Receive(fd int, p []byte) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	// SAFETY: the kernel writes p while the call lasts; p is kept alive across
	// it as an operand, and a stack does not move during a system call.
	if len(p) <= rawLimit {
		n, _, errno = syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// Send is sendto(2) without an address, on a non-blocking socket, with
// MSG_NOSIGNAL: a socket that is shut answers EPIPE and raises no SIGPIPE. Up to
// rawLimit bytes it does not tell the scheduler, since it cannot block.
func Send(fd int, p []byte) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	// SAFETY: as in Receive, but that the kernel reads.
	if len(p) <= rawLimit {
		n, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
