package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What every call that receives or sends asks for. The sockets are
// non-blocking, but that is a property of what is open, not of the descriptor:
// whoever else has it (a child process, the receiver of SCM_RIGHTS) can take it
// away. A raw call that blocks then would stop the whole process at the next
// garbage collection.
const (
	receiving = unix.MSG_DONTWAIT
	sending   = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL // EPIPE, and no SIGPIPE
)

// Receive is recvfrom(2) without an address; it never blocks. Up to rawLimit
// bytes it does not tell the scheduler.
func Receive(fd int, p []byte) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	// SAFETY: the kernel writes p while the call lasts; p is kept alive across
	// it as an operand, and a stack does not move during a system call.
	if len(p) <= rawLimit {
		n, _, errno = syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), receiving, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), receiving, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	received(fd, p[:n])
	return int(n), 0
}

// Send is sendto(2) without an address; it never blocks. Up to rawLimit bytes it
// does not tell the scheduler.
func Send(fd int, p []byte) (int, syscall.Errno) {
	sends(p)
	var n uintptr
	var errno syscall.Errno
	// SAFETY: as in Receive, but that the kernel reads.
	if len(p) <= rawLimit {
		n, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), sending, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), sending, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
