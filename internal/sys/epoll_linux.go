package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// EpollEvent is struct epoll_event, <linux/eventpoll.h>. Its 64 bits of data lie
// in the adjacent fields Fd and Pad; use Data and EpollEventOf.
type EpollEvent unix.EpollEvent

// EpollEventOf makes an event with the given EPOLL bits and data.
func EpollEventOf(events uint32, data uint64) EpollEvent {
	return EpollEvent{Events: events, Fd: int32(uint32(data)), Pad: int32(uint32(data >> 32))}
}

// Data is what the descriptor was registered with.
func (e *EpollEvent) Data() uint64 {
	return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
}

// EpollCreate opens an epoll instance, close-on-exec, epoll_create1(2).
func EpollCreate() (int, error) {
	return unix.EpollCreate1(unix.EPOLL_CLOEXEC)
}

// EpollControl is epoll_ctl(2). The kernel copies the event before it returns.
// The error is a bare errno.
func EpollControl(epfd, op, fd int, event EpollEvent) error {
	e := unix.EpollEvent(event)
	return unix.EpollCtl(epfd, op, fd, &e)
}

// EpollNow is epoll_pwait(2) with a timeout of zero. It does not tell the
// scheduler, since it cannot block. events must not be empty.
func EpollNow(epfd int, events []EpollEvent) (int, error) {
	// SAFETY: the kernel writes at most len(events) elements, and not after the
	// call returns; the slice is kept alive across it as an operand.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// EpollMillis is epoll_pwait(2) without a signal mask; -1 waits for ever. events
// must not be empty.
func EpollMillis(epfd int, events []EpollEvent, millis int32) (int, error) {
	// SAFETY: as in EpollNow.
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(millis), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// kernelTimespec is struct __kernel_timespec, <linux/time_types.h>: 64 bits
// each on every architecture.
type kernelTimespec struct {
	seconds     int64
	nanoseconds int64
}

// EpollNanos is epoll_pwait2(2), Linux 5.11, without a signal mask. nanos must
// not be negative, and events not be empty.
func EpollNanos(epfd int, events []EpollEvent, nanos int64) (int, error) {
	timeout := kernelTimespec{seconds: nanos / 1e9, nanoseconds: nanos % 1e9}
	// SAFETY: events as in EpollNow. The kernel reads timeout before it waits;
	// it may lie on the stack, which does not move during a system call.
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// EventCreate opens an event counter at zero, non-blocking and close-on-exec,
// eventfd(2).
func EventCreate() (int, error) {
	return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
}

// EventAdd adds one to a non-blocking event counter. It does not tell the
// scheduler, since it cannot block.
func EventAdd(fd int) error {
	one := uint64(1)
	// SAFETY: the kernel reads the eight bytes during the call; the stack, where
	// they may lie, does not move meanwhile.
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd),
		uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
	if errno != 0 {
		return errno
	}
	return nil
}

// EventReset sets a non-blocking event counter to zero. A counter at zero is
// EAGAIN. It does not tell the scheduler, since it cannot block.
func EventReset(fd int) error {
	var count uint64
	// SAFETY: the kernel writes the eight bytes during the call; the stack, where
	// they may lie, does not move meanwhile.
	_, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(&count)), unsafe.Sizeof(count))
	if errno != 0 {
		return errno
	}
	return nil
}
