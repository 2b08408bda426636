package eddy_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// acceptAnswers decides what accept4(2) says in this process. The kernel asks
// before each call (seccomp_unotify(2), Linux 5.5): it gets the first of the
// answers, or, when there are none, is told to go on as usual.
type acceptAnswers struct {
	notify int // the descriptor on which the kernel asks

	mu   sync.Mutex
	next []syscall.Errno
}

// notification is struct seccomp_notif, <linux/seccomp.h>.
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	_     [64]byte // struct seccomp_data
}

// response is struct seccomp_notif_resp, <linux/seccomp.h>.
type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// overhearAccept has the kernel ask from now on. There is no way back.
func overhearAccept() (*acceptAnswers, error) {
	// Whoever runs this makes no calls but those of his own architecture, so
	// that the number alone says which it is; it comes first in struct
	// seccomp_data.
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_ACCEPT4, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	header := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	const everyThread = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	// SAFETY: the kernel copies header and the program it points to during the
	// call; both are on the heap and referenced until after it.
	fd, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		everyThread|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(header)))
	runtime.KeepAlive(program)
	if failed != 0 {
		return nil, fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", failed)
	}
	a := &acceptAnswers{notify: int(fd)}
	go a.serve()
	return a, nil
}

// serve answers until the process ends.
func (a *acceptAnswers) serve() {
	for {
		// SAFETY: the kernel fills in asked, which is ours and zero as it wants,
		// during the call only.
		asked := new(notification)
		_, _, failed := unix.Syscall(unix.SYS_IOCTL, uintptr(a.notify), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(asked)))
		if failed == unix.EINTR || failed == unix.ENOENT {
			continue // a signal has interrupted us, or whoever called
		}
		if failed != 0 {
			endRole(fmt.Errorf("SECCOMP_IOCTL_NOTIF_RECV: %w", failed))
		}
		a.answer(asked.id)
	}
}

func (a *acceptAnswers) answer(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &response{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	if len(a.next) > 0 {
		r.flags, r.errno = 0, -int32(a.next[0])
	}
	// SAFETY: the kernel reads r, which is ours, during the call only.
	_, _, failed := unix.Syscall(unix.SYS_IOCTL, uintptr(a.notify), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
	switch {
	case failed == unix.ENOENT: // a signal has interrupted the call, which comes again
	case failed != 0:
		endRole(fmt.Errorf("SECCOMP_IOCTL_NOTIF_SEND: %w", failed))
	case len(a.next) > 0:
		a.next = a.next[1:]
	}
}

// set makes the next calls, times in number, fail with errno.
func (a *acceptAnswers) set(errno syscall.Errno, times int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = make([]syscall.Errno, times)
	for i := range a.next {
		a.next[i] = errno
	}
}

// left is how many answers nobody has called for.
func (a *acceptAnswers) left() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.next)
}

// canOverhearAccept tells why there is no asking here, nil if there is.
func canOverhearAccept() error {
	if runtime.GOARCH == "386" || runtime.GOARCH == "s390x" {
		return errors.New("accept4(2) is called by way of socketcall(2) here")
	}
	action := new(uint32)
	*action = unix.SECCOMP_RET_USER_NOTIF
	// SAFETY: the kernel reads action, which is ours, during the call only.
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(action)))
	if failed != 0 {
		return fmt.Errorf("seccomp(SECCOMP_GET_ACTION_AVAIL): %w", failed)
	}
	return nil
}
