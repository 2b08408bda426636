package probe

// A State is the verdict on a facility of the kernel.
type State string

const (
	// Usable: it was tried and works.
	Usable State = "usable"
	// Unusable: it was refused for a reason that lasts until the process ends or the
	// administrator changes something.
	Unusable State = "unusable"
	// Unknown: the attempt failed because something was lacking that may be available
	// next time. Ask again.
	Unknown State = "unknown"
)

// A Reason says in one word why something is not usable, for logs and counters.
// [Reason.Explanation] has a sentence for it.
type Reason string

const (
	// ReasonNone: nothing stands in the way. It goes with Usable.
	ReasonNone Reason = ""
	// ReasonNotLinux: another operating system.
	ReasonNotLinux Reason = "not-linux"
	// ReasonNoSyscall: ENOSYS. The kernel is older than 5.1 or built without
	// io_uring.
	ReasonNoSyscall Reason = "enosys"
	// ReasonSysctl: EPERM, and kernel.io_uring_disabled is 2, or it is 1 and this
	// process is neither privileged nor in kernel.io_uring_group.
	ReasonSysctl Reason = "sysctl"
	// ReasonSeccomp: EPERM, EACCES or ENOSYS from a seccomp filter.
	ReasonSeccomp Reason = "seccomp"
	// ReasonLSM: EPERM or EACCES that neither the sysctl nor seccomp explains, so
	// probably from a security module.
	ReasonLSM Reason = "security-module"
	// ReasonMemlock: ENOMEM on a kernel that, by its version, counts rings against
	// RLIMIT_MEMLOCK (up to Linux 5.11, and from 6.14 on), in a process that the
	// limit applies to.
	ReasonMemlock Reason = "memlock"
	// ReasonMemory: ENOMEM otherwise.
	ReasonMemory Reason = "memory"
	// ReasonFdLimit: EMFILE or ENFILE. There are no descriptors left.
	ReasonFdLimit Reason = "fd-limit"
	// ReasonTransient: EAGAIN, EINTR or EBUSY. The next attempt may succeed.
	ReasonTransient Reason = "transient"
	// ReasonMissingOp: the ring lacks an operation or a feature that eddy needs.
	ReasonMissingOp Reason = "missing-operation"
	// ReasonFlags: EINVAL. The kernel refuses the set-up flags.
	ReasonFlags Reason = "flags"
	// ReasonForced: io_uring was switched off by the program or its environment.
	ReasonForced Reason = "switched-off"
	// ReasonUnexpected: an errno that is not documented for the call.
	ReasonUnexpected Reason = "unexpected-error"
)

// Reasons returns every Reason except ReasonNone.
func Reasons() []Reason {
	return []Reason{
		ReasonNotLinux, ReasonNoSyscall, ReasonSysctl, ReasonSeccomp, ReasonLSM, ReasonMemlock,
		ReasonMemory, ReasonFdLimit, ReasonTransient, ReasonMissingOp, ReasonFlags, ReasonForced,
		ReasonUnexpected,
	}
}

var explanations = map[Reason]string{
	ReasonNone: "Nothing stands in the way.",
	ReasonNotLinux: "io_uring and epoll exist on Linux only; " +
		"elsewhere there is nothing to do about it.",
	ReasonNoSyscall: "This kernel has no io_uring; " +
		"run Linux 5.6 or later, built with CONFIG_IO_URING.",
	ReasonSysctl: "The administrator has switched io_uring off; " +
		"set kernel.io_uring_disabled to 0, or to 1 and add this process's group as kernel.io_uring_group.",
	ReasonSeccomp: "A seccomp filter, as container engines and sandboxes install, blocks io_uring; " +
		"allow io_uring_setup, io_uring_enter and io_uring_register in its profile.",
	ReasonLSM: "A security module such as SELinux denies io_uring to this process; " +
		"look for the denial in the audit log and change the policy.",
	ReasonMemlock: "Rings count against the locked memory of this user, and the limit is reached; " +
		"raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=).",
	ReasonMemory: "The kernel found no memory for a ring; " +
		"check the memory limit of the control group and the free memory of the machine.",
	ReasonFdLimit: "No file descriptor was left for the ring; " +
		"raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=) or fs.file-max, or look for a descriptor leak.",
	ReasonTransient: "The kernel was interrupted or short of something for a moment; " +
		"the next attempt may succeed.",
	ReasonMissingOp: "This kernel's io_uring lacks an operation that is needed; " +
		"run Linux 5.6 or later.",
	ReasonFlags: "The kernel, or an emulation of it, refuses the way the ring is set up; " +
		"run a kernel with a complete io_uring, Linux 5.6 or later.",
	ReasonForced: "io_uring was switched off for this process by its configuration; " +
		"remove the setting to use it.",
	ReasonUnexpected: "The kernel answered with an error that its manual does not list; " +
		"please report it with the evidence.",
}

// Explanation returns one sentence that says what the reason means and what to
// do about it.
func (r Reason) Explanation() string {
	if e, ok := explanations[r]; ok {
		return e
	}
	return "No explanation is known for " + string(r) + "."
}
