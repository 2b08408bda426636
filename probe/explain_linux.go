package probe

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// facts is what is known about the process and the machine when an errno is to
// be explained.
type facts struct {
	kernel     string // release
	status     status
	privileged bool // in the initial user namespace, where capabilities count
	inGroup    bool // member of kernel.io_uring_group
	limits     Limits
}

// Explain says what a failed io_uring_setup(2) means. It returns the reason,
// whether asking again may help, and the evidence. For that it reads sysctls,
// the process's status and its limits at the time of the call. err may wrap the
// errno; nil means Usable. It may be called concurrently.
//
// The evidence is that of the calling thread. Threads of a process can have
// different seccomp filters, although that is rare.
func Explain(err error) (Reason, State, []string) {
	if err == nil {
		return ReasonNone, Usable, nil
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ReasonUnexpected, Unknown, []string{err.Error()}
	}
	return explain("io_uring_setup", errno, gather())
}

// explain maps the errno of the named system call.
//
//	errno            reason            if                               state
//	ENOSYS           seccomp           a filter, and kernel 5.1 or up   unusable
//	                 enosys            otherwise                        unusable
//	EPERM            sysctl            the sysctl forbids io_uring      unusable
//	                 seccomp           a filter                         unusable
//	                 security-module   otherwise                        unusable
//	EACCES           seccomp           a filter                         unusable
//	                 security-module   otherwise                        unusable
//	ENOMEM           memlock           rings count against the limit    unknown
//	                 memory            otherwise                        unknown
//	EMFILE, ENFILE   fd-limit                                           unknown
//	EAGAIN, EINTR,
//	EBUSY            transient                                          unknown
//	EINVAL           flags                                              unusable
//	others           unexpected-error                                   unknown
func explain(call string, errno syscall.Errno, f facts) (Reason, State, []string) {
	said := fmt.Sprintf("%s: %s (%v)", call, unix.ErrnoName(errno), errno)
	reason, state, why := ReasonUnexpected, Unknown, []string(nil)
	switch errno {
	case unix.ENOSYS:
		reason, why = explainMissing(f)
		state = Unusable
	case unix.EPERM, unix.EACCES:
		reason, why = explainForbidden(call, errno, f)
		state = Unusable
	case unix.ENOMEM:
		reason, why = explainMemory(f)
	case unix.EMFILE:
		reason = ReasonFdLimit
		why = []string{"RLIMIT_NOFILE is " + f.limits.NoFile.Soft.String()}
	case unix.ENFILE:
		reason = ReasonFdLimit
		why = []string{"the system's limit fs.file-max is reached"}
	case unix.EAGAIN, unix.EINTR, unix.EBUSY:
		reason = ReasonTransient
	case unix.EINVAL:
		reason, state = ReasonFlags, Unusable
	}
	why = append([]string{said}, why...)
	if f.limits.Container != "" && (reason == ReasonSeccomp || reason == ReasonLSM) {
		why = append(why, "the process seems to run in a container: "+f.limits.Container)
	}
	return reason, state, append(why, "the kernel is "+orUnknown(f.kernel))
}

// explainMissing is for ENOSYS. Container engines let their filters answer so, to
// make programs fall back; a kernel that has the call would not.
func explainMissing(f facts) (Reason, []string) {
	release := parseRelease(f.kernel)
	switch {
	case release.before(5, 1):
		return ReasonNoSyscall, []string{"io_uring came with Linux 5.1"}
	case f.status.seccomp == seccompFilter:
		return ReasonSeccomp, []string{
			"a seccomp filter is active, and such filters answer ENOSYS for a call that the kernel has",
		}
	case release.known():
		return ReasonNoSyscall, []string{
			"a kernel of this version has io_uring unless it was built without CONFIG_IO_URING or is emulated",
		}
	}
	return ReasonNoSyscall, nil
}

// explainForbidden is for EPERM and EACCES. The sysctl answers EPERM only, and
// where it forbids io_uring that is certain; a filter is likely where there is
// one; what is left are the security modules.
func explainForbidden(call string, errno syscall.Errno, f facts) (Reason, []string) {
	if errno == unix.EPERM && strings.HasPrefix(call, "io_uring_") {
		if why := sysctlForbids(f); why != "" {
			return ReasonSysctl, []string{why}
		}
	}
	if f.status.seccomp == seccompFilter {
		return ReasonSeccomp, []string{"a seccomp filter is active"}
	}
	return ReasonLSM, []string{
		"kernel.io_uring_disabled does not forbid it",
		"the seccomp mode is " + orUnknown(f.status.seccomp),
	}
}

// sysctlForbids says how kernel.io_uring_disabled forbids a ring, or "".
func sysctlForbids(f facts) string {
	disabled := f.limits.URingDisabled
	switch {
	case disabled == nil || *disabled <= 0:
		return ""
	case *disabled == 1 && f.privileged && f.status.capable(capSysAdmin):
		return ""
	case *disabled == 1 && f.inGroup:
		return ""
	case *disabled == 1:
		return "kernel.io_uring_disabled is 1, and the process is neither privileged " +
			"(CAP_SYS_ADMIN) nor in the group kernel.io_uring_group"
	}
	return fmt.Sprintf("kernel.io_uring_disabled is %d", *disabled)
}

// explainMemory is for ENOMEM. Rings counted against RLIMIT_MEMLOCK up to Linux
// 5.11, then against the control group, and since they became memory regions
// (Linux 6.14) against both; for all processes of a user together, and with a
// delay after a ring's close. CAP_IPC_LOCK exempts.
func explainMemory(f facts) (Reason, []string) {
	release := parseRelease(f.kernel)
	limit := f.limits.Memlock.Soft
	exempt := f.privileged && f.status.capable(capIPCLock)
	uncounted := release.from(5, 12) && release.before(6, 14)
	if limit == Unlimited || exempt || uncounted {
		return ReasonMemory, []string{"rings of this process do not count against RLIMIT_MEMLOCK"}
	}
	said := fmt.Sprintf("RLIMIT_MEMLOCK is %v bytes for all rings of the user together", limit)
	if release.before(5, 12) {
		// 5.10.162 took over the io_uring of 5.15, and the release that
		// distributions report does not always show whether theirs has it.
		said += "; rings may count against it (kernels that carry a later io_uring back do not count them)"
	}
	return ReasonMemlock, []string{said}
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}
