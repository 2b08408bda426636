package seccomptest

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auditArches are the AUDIT_ARCH values by GOARCH: a system call's number means
// something on its own architecture only.
var auditArches = map[string]uint32{
	"386":     unix.AUDIT_ARCH_I386,
	"amd64":   unix.AUDIT_ARCH_X86_64,
	"arm":     unix.AUDIT_ARCH_ARM,
	"arm64":   unix.AUDIT_ARCH_AARCH64,
	"loong64": unix.AUDIT_ARCH_LOONGARCH64,
	"ppc64le": unix.AUDIT_ARCH_PPC64LE,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
	"s390x":   unix.AUDIT_ARCH_S390X,
}

// Offsets in struct seccomp_data, <linux/seccomp.h>.
const (
	offsetNumber = 0
	offsetArch   = 4
)

// Deny makes the given system calls (unix.SYS_ numbers) fail with errno from now
// on, on every thread of this process and in its children. There is no way back.
// Privileges are not needed; no-new-privileges is set. It can be called again to
// deny more; where calls of Deny disagree about the errno, the kernel takes the
// later one. It returns [errors.ErrUnsupported] on an architecture it does not
// know, and otherwise the errors of seccomp(2).
func Deny(errno syscall.Errno, numbers ...uintptr) error {
	arch, ok := auditArches[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("seccomp filter for %s: %w", runtime.GOARCH, errors.ErrUnsupported)
	}
	program := filter(arch, errno, numbers)
	header := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}

	// The kernel wants no-new-privileges on the calling thread, and spreads it
	// with the filter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	// SAFETY: the kernel copies header and the program it points to during the
	// call; both are on the heap and referenced until after it.
	thread, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(header)))
	runtime.KeepAlive(program)
	if failed != 0 {
		return fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", failed)
	}
	if thread != 0 {
		return fmt.Errorf("seccomp filter: thread %d has another one", thread)
	}
	return nil
}

// Supported reports whether there is seccomp(2) here. Emulators of a processor
// that run a program on another machine's kernel do not have it.
func Supported() bool {
	action := new(uint32)
	*action = unix.SECCOMP_RET_ERRNO
	// SAFETY: the kernel reads action, which is ours, during the call only.
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(action)))
	return failed == 0
}

// filter is the program, in classic BPF:
//
//	load the architecture
//	if it is not arch, allow
//	load the number
//	if it is numbers[0], fail with errno
//	...
//	allow
func filter(arch uint32, errno syscall.Errno, numbers []uintptr) []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jump = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
	)
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	fail := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)&unix.SECCOMP_RET_DATA}
	program := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: jump, K: arch, Jt: 1},
		allow,
		{Code: load, K: offsetNumber},
	}
	for _, number := range numbers {
		program = append(program, unix.SockFilter{Code: jump, K: uint32(number), Jf: 1}, fail)
	}
	return append(program, allow)
}
