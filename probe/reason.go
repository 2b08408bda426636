package probe

// State is the verdict on a facility of the kernel.
type State string

const (
	// Usable: it was tried and works.
	Usable State = "usable"
	// Unusable: it was refused for a reason that lasts as long as the process,
	// or until the administrator acts.
	Unusable State = "unusable"
	// Unknown: the attempt failed for want of something that may be there at
	// the next one. Ask again.
	Unknown State = "unknown"
)

// Reason says why something is not usable, in a word that can be logged and
// counted. Explanation has a sentence for it.
type Reason string

const (
	// ReasonNone goes with Usable.
	ReasonNone Reason = ""
	// ReasonNotLinux: another operating system.
	ReasonNotLinux Reason = "not-linux"
	// ReasonNoSyscall: ENOSYS, a kernel before 5.1 or built without io_uring.
	ReasonNoSyscall Reason = "enosys"
	// ReasonSysctl: EPERM, kernel.io_uring_disabled is 2, or 1 and this process
	// is neither privileged nor in kernel.io_uring_group.
	ReasonSysctl Reason = "sysctl"
	// ReasonSeccomp: EPERM, EACCES or ENOSYS from a seccomp filter.
	ReasonSeccomp Reason = "seccomp"
	// ReasonLSM: EPERM or EACCES that neither sysctl nor seccomp explains.
	ReasonLSM Reason = "security-module"
	// ReasonMemlock: ENOMEM where rings count against RLIMIT_MEMLOCK.
	ReasonMemlock Reason = "memlock"
	// ReasonMemory: ENOMEM where they do not.
	ReasonMemory Reason = "memory"
	// ReasonFdLimit: EMFILE or ENFILE.
	ReasonFdLimit Reason = "fd-limit"
	// ReasonTransient: EAGAIN, EINTR or EBUSY.
	ReasonTransient Reason = "transient"
	// ReasonMissingOp: the ring lacks an operation or a feature eddy needs.
	ReasonMissingOp Reason = "missing-operation"
	// ReasonFlags: EINVAL, the kernel refuses the set-up flags.
	ReasonFlags Reason = "flags"
	// ReasonForced: the user said not to use it.
	ReasonForced Reason = "switched-off"
	// ReasonUnexpected: an errno that is not documented for the call.
	ReasonUnexpected Reason = "unexpected-error"
)

// Reasons lists every Reason but ReasonNone, for whoever counts or documents
// them.
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

// Explanation is one sentence: what the reason means, and what to do about it.
func (r Reason) Explanation() string {
	if e, ok := explanations[r]; ok {
		return e
	}
	return "No explanation is known for " + string(r) + "."
}
