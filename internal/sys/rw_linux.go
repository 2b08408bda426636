package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawLimit is the largest transfer that is worth hiding from the scheduler: it
// takes the processor about ten microseconds to copy.
const rawLimit = 64 << 10

// ReadNowait is preadv2(2) with RWF_NOWAIT (kernel 4.14): it reads at off what
// can be read without waiting for a device, which is what is in the page cache.
// EAGAIN means that nothing is; a short count, that only so much is; EOPNOTSUPP,
// that the file system cannot tell. Like pread(2) it may be interrupted.
func ReadNowait(fd int, p []byte, off int64) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	vector := unix.Iovec{Base: unsafe.SliceData(p)}
	vector.SetLen(len(p))
	low, high := uintptr(off), uintptr(0)
	if unsafe.Sizeof(low) == 4 {
		high = uintptr(off >> 32)
	}
	var n uintptr
	var errno syscall.Errno
	// SAFETY: the kernel reads the vector and writes p while the call lasts.
	// Both stay where they are: a goroutine's stack does not move while it is
	// in a system call.
	if len(p) <= rawLimit {
		n, _, errno = syscall.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&vector)), 1, low, high, unix.RWF_NOWAIT)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&vector)), 1, low, high, unix.RWF_NOWAIT)
	}
	if errno != 0 {
		return 0, errno
	}
	KernelWrote(p[:n])
	return int(n), 0
}
