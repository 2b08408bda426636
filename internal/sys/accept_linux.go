package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Accept is accept4(2): the new descriptor is non-blocking and closed on exec. It
// goes through the scheduler, for nothing keeps the call from blocking where
// somebody else has made the listening socket a blocking one.
func Accept(fd int, peer *Name) (int, syscall.Errno) {
	peer.size = uint32(len(peer.raw))
	// SAFETY: the kernel writes the name and its size while the call lasts; both are
	// operands, so kept alive, and a stack does not move during a system call.
	n, _, errno := syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&peer.raw)), uintptr(unsafe.Pointer(&peer.size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

// LocalName is getsockname(2).
func LocalName(fd int, name *Name) syscall.Errno {
	name.size = uint32(len(name.raw))
	// SAFETY: as in Accept.
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&name.raw)), uintptr(unsafe.Pointer(&name.size)))
	return errno
}
