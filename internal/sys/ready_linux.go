package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// AwaitReadable is ppoll(2) for one descriptor and one direction, through the
// scheduler: it waits for up to nanos, below a second, and reports whether a
// read would not block. An interruption counts as no, and so does an error alone:
// a message in the error queue is one for as long as nobody takes it.
func AwaitReadable(fd int, nanos int64) bool {
	poll := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
	timeout := unix.NsecToTimespec(nanos)
	// SAFETY: the kernel uses both while the call lasts; a goroutine's stack
	// does not move during a system call.
	n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	return errno == 0 && n == 1 && poll.Revents != unix.POLLERR
}

// IsReadable is poll(2) for one descriptor, without waiting and without the
// scheduler: it reports whether a read would find something, an error included.
func IsReadable(fd int) bool {
	poll := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
	var timeout unix.Timespec
	// SAFETY: as in AwaitReadable.
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	return errno == 0 && n == 1
}
