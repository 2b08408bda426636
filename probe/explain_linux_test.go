package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func number(n int) *int { return &n }

func TestErrnoIsExplainedByItsCircumstances(t *testing.T) {
	filtered := status{seccomp: seccompFilter}
	open := status{seccomp: seccompDisabled}
	root := status{seccomp: seccompDisabled, capabilities: 1<<capSysAdmin | 1<<capIPCLock}
	limited := Limits{Memlock: Limit{Soft: 64 << 10}, NoFile: Limit{Soft: 256}}
	sysctl := func(n int) Limits { l := limited; l.URingDisabled = number(n); return l }

	for _, test := range []struct {
		name     string
		errno    syscall.Errno
		facts    facts
		reason   Reason
		state    State
		evidence string // that must be among it
	}{
		{"too old", unix.ENOSYS, facts{kernel: "4.19.325", status: open}, ReasonNoSyscall, Unusable, "Linux 5.1"},
		{"too old, filter", unix.ENOSYS, facts{kernel: "5.0.1", status: filtered}, ReasonNoSyscall, Unusable, "Linux 5.1"},
		{"not built in", unix.ENOSYS, facts{kernel: "6.1.0", status: open}, ReasonNoSyscall, Unusable, "CONFIG_IO_URING"},
		{"filter says ENOSYS", unix.ENOSYS, facts{kernel: "6.1.0", status: filtered}, ReasonSeccomp, Unusable, "ENOSYS"},
		{"first kernel, filter", unix.ENOSYS, facts{kernel: "5.1.0", status: filtered}, ReasonSeccomp, Unusable, "filter"},
		{"unknown kernel", unix.ENOSYS, facts{}, ReasonNoSyscall, Unusable, "kernel is unknown"},
		{"unknown kernel, filter", unix.ENOSYS, facts{status: filtered}, ReasonSeccomp, Unusable, "filter"},

		{"sysctl 2", unix.EPERM, facts{status: open, limits: sysctl(2)}, ReasonSysctl, Unusable, "io_uring_disabled is 2"},
		{"sysctl 2, root", unix.EPERM, facts{status: root, privileged: true, limits: sysctl(2)}, ReasonSysctl, Unusable, "is 2"},
		{"sysctl 2 and filter", unix.EPERM, facts{status: filtered, limits: sysctl(2)}, ReasonSysctl, Unusable, "is 2"},
		{"sysctl 3, of a future", unix.EPERM, facts{status: open, limits: sysctl(3)}, ReasonSysctl, Unusable, "is 3"},
		{"sysctl 1", unix.EPERM, facts{status: open, limits: sysctl(1)}, ReasonSysctl, Unusable, "CAP_SYS_ADMIN"},
		{"sysctl 1, root of a container", unix.EPERM, facts{status: root, limits: sysctl(1)}, ReasonSysctl, Unusable, "is 1"},
		{"sysctl 1, in the group", unix.EPERM, facts{status: filtered, inGroup: true, limits: sysctl(1)}, ReasonSeccomp, Unusable, "filter"},
		{"sysctl 1, root", unix.EPERM, facts{status: root, privileged: true, limits: sysctl(1)}, ReasonLSM, Unusable, "seccomp mode is disabled"},
		{"sysctl 0, filter", unix.EPERM, facts{status: filtered, limits: sysctl(0)}, ReasonSeccomp, Unusable, "filter"},
		{"no sysctl, filter", unix.EPERM, facts{status: filtered}, ReasonSeccomp, Unusable, "filter"},
		{"nothing explains it", unix.EPERM, facts{status: open, limits: sysctl(0)}, ReasonLSM, Unusable, "does not forbid"},
		{"nothing is known", unix.EPERM, facts{}, ReasonLSM, Unusable, "seccomp mode is unknown"},
		{"SELinux", unix.EACCES, facts{status: open, limits: sysctl(0)}, ReasonLSM, Unusable, "EACCES"},
		{"the sysctl does not say EACCES", unix.EACCES, facts{status: open, limits: sysctl(2)}, ReasonLSM, Unusable, "EACCES"},
		{"filter says EACCES", unix.EACCES, facts{status: filtered}, ReasonSeccomp, Unusable, "filter"},

		{"memlock, old", unix.ENOMEM, facts{kernel: "5.10.0-26", limits: limited}, ReasonMemlock, Unknown, "65536 bytes"},
		{"memlock, old number and later io_uring", unix.ENOMEM, facts{kernel: "5.10.0-26", limits: limited}, ReasonMemlock, Unknown, "may count against"},
		{"memlock, new", unix.ENOMEM, facts{kernel: "6.18.4", limits: limited}, ReasonMemlock, Unknown, "65536 bytes"},
		{"memlock, unknown kernel", unix.ENOMEM, facts{limits: limited}, ReasonMemlock, Unknown, "65536 bytes"},
		{"not counted", unix.ENOMEM, facts{kernel: "6.1.0", limits: limited}, ReasonMemory, Unknown, "do not count"},
		{"first not counted", unix.ENOMEM, facts{kernel: "5.12.0", limits: limited}, ReasonMemory, Unknown, "do not count"},
		{"first counted again", unix.ENOMEM, facts{kernel: "6.14.0", limits: limited}, ReasonMemlock, Unknown, "65536"},
		{"unlimited", unix.ENOMEM, facts{kernel: "5.10.0", limits: Limits{Memlock: Limit{Soft: Unlimited}}}, ReasonMemory, Unknown, "ENOMEM"},
		{"exempt", unix.ENOMEM, facts{kernel: "5.10.0", status: root, privileged: true, limits: limited}, ReasonMemory, Unknown, "ENOMEM"},
		{"root of a container is not", unix.ENOMEM, facts{kernel: "5.10.0", status: root, limits: limited}, ReasonMemlock, Unknown, "65536"},

		{"own descriptors", unix.EMFILE, facts{limits: limited}, ReasonFdLimit, Unknown, "RLIMIT_NOFILE is 256"},
		{"the system's", unix.ENFILE, facts{limits: limited}, ReasonFdLimit, Unknown, "file-max"},
		{"again", unix.EAGAIN, facts{}, ReasonTransient, Unknown, "EAGAIN"},
		{"interrupted", unix.EINTR, facts{}, ReasonTransient, Unknown, "EINTR"},
		{"busy", unix.EBUSY, facts{}, ReasonTransient, Unknown, "EBUSY"},
		{"flags", unix.EINVAL, facts{}, ReasonFlags, Unusable, "EINVAL"},
		{"none of these", unix.EXDEV, facts{}, ReasonUnexpected, Unknown, "EXDEV"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reason, state, evidence := explain("io_uring_setup", test.errno, test.facts)
			if reason != test.reason || state != test.state {
				t.Errorf("%v, %v; want %v, %v", reason, state, test.reason, test.state)
			}
			all := strings.Join(evidence, "\n")
			if !strings.Contains(all, test.evidence) {
				t.Errorf("evidence lacks %q:\n%s", test.evidence, all)
			}
			if !strings.HasPrefix(all, "io_uring_setup: "+unix.ErrnoName(test.errno)) {
				t.Errorf("evidence does not begin with the errno:\n%s", all)
			}
		})
	}
}

func TestContainerIsMentionedWhereItMatters(t *testing.T) {
	f := facts{status: status{seccomp: seccompFilter}, limits: Limits{Container: "docker"}}
	_, _, evidence := explain("io_uring_setup", unix.EPERM, f)
	if !strings.Contains(strings.Join(evidence, "\n"), "docker") {
		t.Errorf("a filter in a container: %q", evidence)
	}
	_, _, evidence = explain("io_uring_setup", unix.EMFILE, f)
	if strings.Contains(strings.Join(evidence, "\n"), "docker") {
		t.Errorf("no descriptors in a container: %q", evidence)
	}
}

func TestExplainFindsTheErrnoInside(t *testing.T) {
	if reason, state, _ := Explain(nil); reason != ReasonNone || state != Usable {
		t.Errorf("no error: %v, %v", reason, state)
	}
	for _, err := range []error{
		unix.EMFILE,
		os.NewSyscallError("io_uring_setup", unix.EMFILE),
		fmt.Errorf("ring of 256: %w", &fs.PathError{Op: "setup", Path: "ring", Err: unix.EMFILE}),
	} {
		if reason, state, _ := Explain(err); reason != ReasonFdLimit || state != Unknown {
			t.Errorf("%v: %v, %v", err, reason, state)
		}
	}
	reason, state, evidence := Explain(errors.New("no errno"))
	if reason != ReasonUnexpected || state != Unknown || len(evidence) != 1 || evidence[0] != "no errno" {
		t.Errorf("without errno: %v, %v, %q", reason, state, evidence)
	}
}

func TestMissingOperationMakesARingUnusable(t *testing.T) {
	all := map[string]bool{}
	for op := range OpCount {
		all[OpName(uint8(op))] = true
	}
	if state, reason, _ := judge(all, featureNoDrop); state != Usable || reason != ReasonNone {
		t.Errorf("everything there: %v, %v", state, reason)
	}
	for _, op := range needed {
		if _, known := all[op]; !known {
			t.Errorf("needed operation %q has no number", op)
		}
		all[op] = false
		state, reason, evidence := judge(all, featureNoDrop)
		if state != Unusable || reason != ReasonMissingOp || !strings.Contains(strings.Join(evidence, ""), op) {
			t.Errorf("without %s: %v, %v, %q", op, state, reason, evidence)
		}
		all[op] = true
	}
	if state, reason, _ := judge(all, 0); state != Unusable || reason != ReasonMissingOp {
		t.Errorf("without nodrop: %v, %v", state, reason)
	}
}

func TestFeaturesUnknownHereAreNotDropped(t *testing.T) {
	got := strings.Join(namesOf(1|1<<1|1<<17|1<<18|1<<31), " ")
	if want := "single_mmap nodrop no_iowait bit18 bit31"; got != want {
		t.Errorf("features are %q, want %q", got, want)
	}
}

// TestOperationCompiledOutIsNotListed: a kernel lists numbers that it does not
// support, and fewer than there are names here.
func TestOperationCompiledOutIsNotListed(t *testing.T) {
	list := operations{count: 3}
	for op := range list.ops {
		list.ops[op].flags = opSupported
	}
	list.ops[1].flags = 0xfffe
	ops := list.supported()
	if len(ops) != OpCount {
		t.Errorf("%d operations, want %d", len(ops), OpCount)
	}
	for op := range OpCount {
		if got, want := ops[OpName(uint8(op))], op == 0 || op == 2; got != want {
			t.Errorf("operation %d: %v, want %v", op, got, want)
		}
	}
}

// TestSysctlIsNotBlamedForEpoll: kernel.io_uring_disabled forbids rings, nothing
// else.
func TestSysctlIsNotBlamedForEpoll(t *testing.T) {
	two := 2
	f := facts{status: status{seccomp: seccompFilter}, limits: Limits{URingDisabled: &two}}
	if reason, _, evidence := explain("epoll_create1", unix.EPERM, f); reason != ReasonSeccomp {
		t.Errorf("%s %q", reason, evidence)
	}
	if reason, _, evidence := explain("io_uring_register", unix.EPERM, f); reason != ReasonSysctl {
		t.Errorf("%s %q", reason, evidence)
	}
}
