package probe_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/probe"
	"golang.org/x/sys/unix"
)

// A test process that changes itself for good does so as a child: this binary
// again, with the name of what to do in childVariable.
const childVariable = "EDDY_PROBE_CHILD"

var children = map[string]func() any{
	"setup-eperm":      func() any { return deniedReport(unix.EPERM, unix.SYS_IO_URING_SETUP) },
	"setup-enosys":     func() any { return deniedReport(unix.ENOSYS, unix.SYS_IO_URING_SETUP) },
	"setup-eacces":     func() any { return deniedReport(unix.EACCES, unix.SYS_IO_URING_SETUP) },
	"setup-emfile":     func() any { return deniedReport(unix.EMFILE, unix.SYS_IO_URING_SETUP) },
	"enter-eperm":      func() any { return deniedReport(unix.EPERM, unix.SYS_IO_URING_ENTER) },
	"register-enosys":  func() any { return deniedReport(unix.ENOSYS, unix.SYS_IO_URING_REGISTER) },
	"register-einval":  func() any { return deniedReport(unix.EINVAL, unix.SYS_IO_URING_REGISTER) },
	"pwait2-enosys":    func() any { return deniedReport(unix.ENOSYS, unix.SYS_EPOLL_PWAIT2) },
	"epoll-eperm":      noEpoll,
	"no-descriptors":   noDescriptors,
	"no-locked-memory": noLockedMemory,
	"nobody-on-cue":    nobodyOnCue,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := json.NewEncoder(os.Stdout).Encode(children[name]()); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childCommand(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// fromChild runs the child and reads its answer.
func fromChild[T any](t *testing.T, name string) T {
	t.Helper()
	out, err := childCommand(t, name).Output()
	if err != nil {
		t.Fatalf("child %s: %v\n%s", name, err, out)
	}
	var answer T
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("child %s: %v\n%s", name, err, out)
	}
	return answer
}

func deniedReport(errno syscall.Errno, number uintptr) any {
	if err := seccomptest.Deny(errno, number); err != nil {
		panic(err)
	}
	return probe.Run()
}

// noEpoll probes where epoll cannot be opened, except by the Go runtime, which
// would give up: it does so at the first file.
func noEpoll() any {
	if _, err := os.ReadFile("/proc/self/status"); err != nil {
		panic(err)
	}
	return deniedReport(unix.EPERM, unix.SYS_EPOLL_CREATE1)
}

// needsURing skips where the host has no io_uring to forbid.
func needsURing(t *testing.T) {
	t.Helper()
	if u := probe.Get().URing; u.State != probe.Usable {
		t.Skipf("io_uring is %s here: %s %q", u.State, u.Reason, u.Evidence)
	}
}

// TestFilterIsToldFromMissingKernelSupport installs real filters that answer as
// those of container engines do.
func TestFilterIsToldFromMissingKernelSupport(t *testing.T) {
	needsURing(t)
	for _, test := range []struct {
		child    string
		reason   probe.Reason
		state    probe.State
		evidence []string
	}{
		{"setup-eperm", probe.ReasonSeccomp, probe.Unusable, []string{"io_uring_setup: EPERM", "seccomp filter"}},
		{"setup-enosys", probe.ReasonSeccomp, probe.Unusable, []string{"io_uring_setup: ENOSYS", "seccomp filter"}},
		{"setup-eacces", probe.ReasonSeccomp, probe.Unusable, []string{"io_uring_setup: EACCES", "seccomp filter"}},
		{"setup-emfile", probe.ReasonFdLimit, probe.Unknown, []string{"io_uring_setup: EMFILE", "RLIMIT_NOFILE"}},
		{"enter-eperm", probe.ReasonSeccomp, probe.Unusable, []string{"io_uring_enter: EPERM"}},
		{"register-enosys", probe.ReasonSeccomp, probe.Unusable, []string{"io_uring_register: ENOSYS"}},
		{"register-einval", probe.ReasonMissingOp, probe.Unusable, []string{"Linux 5.6"}},
	} {
		report := fromChild[probe.Report](t, test.child)
		u := report.URing
		if u.State != test.state || u.Reason != test.reason {
			t.Errorf("%s: %s, %q; want %s, %q", test.child, u.State, u.Reason, test.state, test.reason)
		}
		all := strings.Join(u.Evidence, "\n")
		for _, want := range test.evidence {
			if !strings.Contains(all, want) {
				t.Errorf("%s: evidence lacks %q:\n%s", test.child, want, all)
			}
		}
		if len(u.Ops) != 0 {
			t.Errorf("%s: lists operations: %v", test.child, u.Ops)
		}
		if report.Limits.Seccomp != "filter" {
			t.Errorf("%s: seccomp mode is %q", test.child, report.Limits.Seccomp)
		}
		if report.Epoll.State != probe.Usable || !strings.HasPrefix(report.Kernel, kernelRelease(t)) {
			t.Errorf("%s: the rest is wrong: %+v, kernel %q", test.child, report.Epoll, report.Kernel)
		}
	}
}

func TestFilterOnEpollIsReported(t *testing.T) {
	if !seccomptest.Supported() {
		t.Skip("no seccomp here")
	}
	report := fromChild[probe.Report](t, "pwait2-enosys")
	if report.Epoll.State != probe.Usable || report.Epoll.Nanoseconds {
		t.Errorf("without epoll_pwait2: %+v", report.Epoll)
	}
	report = fromChild[probe.Report](t, "epoll-eperm")
	if report.Epoll.State != probe.Unusable || report.Epoll.Reason != probe.ReasonSeccomp {
		t.Errorf("without epoll_create1: %+v", report.Epoll)
	}
}

// noDescriptors probes with no descriptor left, then with some, then without.
func noDescriptors() any {
	var reports []probe.Report
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	for _, soft := range []uint64{0, limit.Cur, 0} {
		limit.Cur = soft
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			panic(err)
		}
		reports = append(reports, probe.Get())
	}
	return reports
}

func TestInconclusiveAnswerIsNotCached(t *testing.T) {
	needsURing(t)
	reports := fromChild[[]probe.Report](t, "no-descriptors")
	if len(reports) != 3 {
		t.Fatalf("%d reports", len(reports))
	}
	first := reports[0]
	if first.URing.State != probe.Unknown || first.URing.Reason != probe.ReasonFdLimit {
		t.Errorf("no descriptor left: %+v", first.URing)
	}
	if first.Epoll.State != probe.Unknown || first.Epoll.Reason != probe.ReasonFdLimit {
		t.Errorf("no descriptor left: %+v", first.Epoll)
	}
	if got := first.Limits.NoFile.Soft; got != 0 {
		t.Errorf("limit is %v, want 0", got)
	}
	if first.Limits.Seccomp == "unknown" {
		t.Error("seccomp mode is unknown without descriptors to read it with")
	}
	if second := reports[1]; second.URing.State != probe.Usable || second.Epoll.State != probe.Usable {
		t.Errorf("after raising the limit: %+v, %+v", second.URing, second.Epoll)
	}
	if third := reports[2]; third.URing.State != probe.Usable || third.Epoll.State != probe.Usable {
		t.Errorf("the conclusive answer was not cached: %+v, %+v", third.URing, third.Epoll)
	}
}

const nobody = 65534

// noLockedMemory probes as a user who may not lock any memory, and then again
// with 1 MiB.
func noLockedMemory() any {
	// An ordinary user cannot raise the hard limit, which is 64 KiB on kernels
	// before 5.16.
	const most = 1 << 20
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: most, Max: most}); err != nil {
		panic(err)
	}
	becomeNobody()
	var reports []probe.Report
	for _, soft := range []uint64{0, most} {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: soft, Max: most}); err != nil {
			panic(err)
		}
		reports = append(reports, probe.Get())
	}
	return reports
}

func becomeNobody() {
	if err := syscall.Setgroups(nil); err != nil {
		panic(err)
	}
	if err := syscall.Setgid(nobody); err != nil {
		panic(err)
	}
	if err := syscall.Setuid(nobody); err != nil {
		panic(err)
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
}

// TestLockedMemoryLimitIsNamed runs into the limit on kernels that count rings
// against it, and must be usable on those that do not.
func TestLockedMemoryLimitIsNamed(t *testing.T) {
	needsURing(t)
	needsRoot(t)
	reports := fromChild[[]probe.Report](t, "no-locked-memory")
	if len(reports) != 2 {
		t.Fatalf("%d reports", len(reports))
	}
	u := reports[0].URing
	// The feature came with the kernel that stopped counting, and with its
	// io_uring to the stable releases of an older one.
	counts := !slices.Contains(reports[1].URing.Features, "native_workers") || kernelIsFrom(t, 6, 14)
	switch {
	case !counts && u.State != probe.Usable:
		t.Errorf("the kernel does not count rings: %+v", u)
	case counts && (u.State != probe.Unknown || u.Reason != probe.ReasonMemlock):
		t.Errorf("the kernel counts rings: %+v", u)
	}
	if u := reports[1].URing; u.State != probe.Usable {
		t.Errorf("with memory to lock: %+v", u)
	}
}

// TestRunAgreesWithKernelVersion fails if the probe denies what this version is
// known to have; more is no fault, distributions carry features back.
func TestRunAgreesWithKernelVersion(t *testing.T) {
	needsURing(t)
	report := probe.Run()
	for _, test := range []struct {
		major, minor  int
		ops, features string
		flags         string
	}{
		{5, 1, "", "", "iopoll sqpoll sq_aff"},
		{5, 6, "nop readv poll_add accept async_cancel connect openat close statx read write send recv openat2",
			"single_mmap nodrop submit_stable rw_cur_pos cur_personality", "cqsize clamp attach_wq"},
		{5, 7, "splice provide_buffers", "fast_poll", ""},
		{5, 10, "tee", "poll_32bits", "r_disabled"},
		{5, 11, "shutdown renameat unlinkat", "sqpoll_nonfixed ext_arg", ""},
		{5, 15, "mkdirat symlinkat linkat", "native_workers rsrc_tags", ""},
		{5, 18, "msg_ring", "cqe_skip linked_file", "submit_all"},
		{5, 19, "setxattr getxattr socket uring_cmd", "", "coop_taskrun taskrun_flag sqe128 cqe32"},
		{6, 0, "send_zc", "", "single_issuer"},
		{6, 1, "sendmsg_zc", "", "defer_taskrun"},
		{6, 5, "", "reg_reg_ring", "no_mmap registered_fd_only"},
		{6, 6, "", "", "no_sqarray"},
		{6, 7, "read_multishot waitid futex_wait futex_wake futex_waitv", "", ""},
		{6, 11, "fixed_fd_install ftruncate bind listen", "recvsend_bundle", ""},
		{6, 12, "", "min_timeout", ""},
		{6, 13, "", "", "hybrid_iopoll"},
		{6, 18, "epoll_wait readv_fixed writev_fixed pipe", "rw_attr no_iowait", "cqe_mixed"},
	} {
		if !kernelIsFrom(t, test.major, test.minor) {
			break
		}
		for _, op := range strings.Fields(test.ops) {
			if !report.URing.Ops[op] {
				t.Errorf("no operation %s, which came by Linux %d.%d", op, test.major, test.minor)
			}
		}
		for _, feature := range strings.Fields(test.features) {
			if !slices.Contains(report.URing.Features, feature) {
				t.Errorf("no feature %s, which came by Linux %d.%d", feature, test.major, test.minor)
			}
		}
		for _, flag := range strings.Fields(test.flags) {
			if !report.URing.SetupFlags[flag] {
				t.Errorf("no set-up flag %s, which came by Linux %d.%d", flag, test.major, test.minor)
			}
		}
	}
	if kernelIsFrom(t, 5, 11) && !report.Epoll.Nanoseconds {
		t.Error("no epoll_pwait2, which came with Linux 5.11")
	}
}

// TestOneRungIsTheMeasureOfThoseBelow tries every flag by itself, with what it
// needs beside it, and compares with what Run concluded from one ring.
func TestOneRungIsTheMeasureOfThoseBelow(t *testing.T) {
	needsURing(t)
	report := probe.Run()
	needs := map[string]string{
		"taskrun_flag": "coop_taskrun", "defer_taskrun": "single_issuer", "hybrid_iopoll": "iopoll",
		"sq_aff": "sqpoll", "registered_fd_only": "no_mmap", "sq_rewind": "no_sqarray",
	}
	if len(report.URing.SetupFlags) != 21 {
		t.Errorf("%d set-up flags", len(report.URing.SetupFlags))
	}
	for _, name := range slices.Sorted(maps.Keys(report.URing.SetupFlags)) {
		var p struct {
			sqEntries, cqEntries, flags uint32
			sqThread                    [2]uint32
			features                    uint32
			wqFd                        int32
			rest                        [23]uint32
		}
		p.cqEntries, p.wqFd = 8, -1
		p.flags = setupFlag(t, name)
		if other := needs[name]; other != "" {
			p.flags |= setupFlag(t, other)
		}
		// SAFETY: p has the size of struct io_uring_params, 120 bytes, and is
		// used during the call only.
		fd, errno := sys.SetupRing(4, unsafe.Pointer(&p))
		if errno == 0 {
			sys.CloseRing(fd)
		}
		// EFAULT: no memory is given. EBADF and ENXIO: no ring to attach to.
		// EPERM: privileges. All of them after the flags were accepted.
		if accepted := errno != unix.EINVAL; accepted != report.URing.SetupFlags[name] {
			t.Errorf("%s: io_uring_setup says %v, Run says %v", name, errno, !accepted)
		}
	}
}

func setupFlag(t *testing.T, name string) uint32 {
	t.Helper()
	names := "iopoll sqpoll sq_aff cqsize clamp attach_wq r_disabled submit_all coop_taskrun taskrun_flag " +
		"sqe128 cqe32 single_issuer defer_taskrun no_mmap registered_fd_only no_sqarray hybrid_iopoll " +
		"cqe_mixed sqe_mixed sq_rewind"
	bit := slices.Index(strings.Fields(names), name)
	if bit < 0 {
		t.Fatalf("unknown set-up flag %q", name)
	}
	return 1 << bit
}

func kernelRelease(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func kernelIsFrom(t *testing.T, major, minor int) bool {
	t.Helper()
	var haveMajor, haveMinor int
	if _, err := fmt.Sscanf(kernelRelease(t), "%d.%d", &haveMajor, &haveMinor); err != nil {
		t.Fatal(err)
	}
	return haveMajor > major || haveMajor == major && haveMinor >= minor
}

func TestProbingLeavesNoDescriptorOpen(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count()
	for range 10 {
		probe.Run()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestLimitsAreThoseOfTheProcess(t *testing.T) {
	limits := probe.Run().Limits
	for resource, got := range map[int]probe.Limit{
		unix.RLIMIT_NOFILE: limits.NoFile, unix.RLIMIT_MEMLOCK: limits.Memlock,
	} {
		var want unix.Rlimit
		if err := unix.Getrlimit(resource, &want); err != nil {
			t.Fatal(err)
		}
		if uint64(got.Soft) != want.Cur || uint64(got.Hard) != want.Max {
			t.Errorf("resource %d: %+v, want %+v", resource, got, want)
		}
	}
	if limits.GOMAXPROCS != runtime.GOMAXPROCS(0) || limits.CPUs != runtime.NumCPU() {
		t.Errorf("processors: %+v", limits)
	}
	disabled, err := os.ReadFile(disabledPath)
	if (err == nil) != (limits.URingDisabled != nil) {
		t.Fatalf("io_uring_disabled: %v, %v", limits.URingDisabled, err)
	}
	if err == nil && strconv.Itoa(*limits.URingDisabled) != strings.TrimSpace(string(disabled)) {
		t.Errorf("io_uring_disabled is %d, want %s", *limits.URingDisabled, disabled)
	}
}

const disabledPath = "/proc/sys/kernel/io_uring_disabled"

// nobodyOnCue gets ready, says so, waits for a line, and probes.
func nobodyOnCue() any {
	becomeNobody()
	fmt.Println(`"ready"`)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		panic(err)
	}
	return probe.Run()
}

// TestSysctlIsNamed changes a setting of the whole machine for some milliseconds,
// in which other processes can make no rings; so it wants to be asked.
func TestSysctlIsNamed(t *testing.T) {
	if os.Getenv("EDDY_TEST_SYSCTL") != "1" {
		t.Skip("changes kernel.io_uring_disabled; set EDDY_TEST_SYSCTL=1 to allow it")
	}
	needsURing(t)
	needsRoot(t)
	before, err := os.ReadFile(disabledPath)
	if err != nil {
		t.Skipf("a kernel before 6.6: %v", err)
	}
	set := func(value string) {
		if err := os.WriteFile(disabledPath, []byte(value), 0); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { set(string(before)) })

	set("2")
	report := probe.Run()
	set(string(before))
	if report.URing.State != probe.Unusable || report.URing.Reason != probe.ReasonSysctl {
		t.Errorf("sysctl 2: %+v", report.URing)
	}

	cmd := childCommand(t, "nobody-on-cue")
	cue, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(answers)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	set("1")
	start := time.Now()
	io.WriteString(cue, "go\n")
	answer, readErr := lines.ReadBytes('\n')
	own := probe.Run()
	set(string(before))
	t.Logf("kernel.io_uring_disabled was 1 for %v", time.Since(start))
	if err := cmd.Wait(); err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	if err := json.Unmarshal(answer, &report); err != nil {
		t.Fatal(err)
	}
	if report.URing.State != probe.Unusable || report.URing.Reason != probe.ReasonSysctl {
		t.Errorf("sysctl 1, unprivileged: %+v", report.URing)
	}
	if own.URing.State != probe.Usable {
		t.Errorf("sysctl 1, privileged: %+v", own.URing)
	}
}
