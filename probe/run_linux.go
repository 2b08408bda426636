package probe

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// Run probes now. It sets up one ring of four entries and one epoll instance,
// and closes both before it returns; it also makes a few system calls that are
// refused, and reads some files in /proc. That takes well under a millisecond.
// It may be called concurrently.
func Run() Report {
	// The thread that is refused is the one whose status is read.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := gather()
	return Report{
		OS:     runtime.GOOS,
		Arch:   runtime.GOARCH,
		Kernel: f.kernel,
		URing:  probeURing(f),
		Epoll:  probeEpoll(f),
		Limits: f.limits,
	}
}

// gather reads everything that may serve as evidence. What cannot be read is
// unknown, which is an answer too: a sandbox need not have /proc.
func gather() facts {
	var name unix.Utsname
	f := facts{}
	if unix.Uname(&name) == nil {
		f.kernel = unix.ByteSliceToString(name.Release[:])
	}
	f.status = parseStatus(readFirst("/proc/thread-self/status", "/proc/self/status"))
	if f.status.seccomp == seccompUnknown {
		if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err == nil {
			f.status.seccomp = parseSeccomp(fmt.Sprint(mode))
		}
	}
	f.privileged = parseUIDMap(readFirst("/proc/self/uid_map"))
	f.limits = Limits{
		NoFile:        limit(unix.RLIMIT_NOFILE),
		Memlock:       limit(unix.RLIMIT_MEMLOCK),
		GOMAXPROCS:    runtime.GOMAXPROCS(0),
		CPUs:          runtime.NumCPU(),
		URingDisabled: parseSysctl(readFirst("/proc/sys/kernel/io_uring_disabled")),
		URingGroup:    parseSysctl(readFirst("/proc/sys/kernel/io_uring_group")),
		Seccomp:       f.status.seccomp,
		Container:     containerHint(exists, os.Getenv),
	}
	f.inGroup = memberOf(f.limits.URingGroup)
	return f
}

// readFirst returns the first of the files that can be read, or "".
func readFirst(paths ...string) string {
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil {
			return string(text)
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// limit is what getrlimit(2) says; both bounds are 0 if it fails, which it is not
// known to do for these.
func limit(resource int) Limit {
	var r unix.Rlimit
	if unix.Getrlimit(resource, &r) != nil {
		return Limit{}
	}
	return Limit{Soft: Bound(r.Cur), Hard: Bound(r.Max)}
}

// memberOf reports whether the process is in the group: the effective one or a
// supplementary one.
func memberOf(group *int) bool {
	if group == nil || *group < 0 {
		return false
	}
	groups, err := os.Getgroups()
	return *group == os.Getegid() || err == nil && slices.Contains(groups, *group)
}

// probeEpoll opens an epoll instance and waits in it for no time at all.
func probeEpoll(f facts) Epoll {
	fd, err := sys.EpollCreate()
	if err != nil {
		return epollRefused("epoll_create1", err, f)
	}
	defer unix.Close(fd)
	events := make([]sys.EpollEvent, 1)
	if _, err := sys.EpollNow(fd, events); err != nil && err != unix.EINTR {
		return epollRefused("epoll_pwait", err, f)
	}
	_, err = sys.EpollNanos(fd, events, 0)
	return Epoll{State: Usable, Evidence: []string{}, Nanoseconds: err == nil || err == unix.EINTR}
}

func epollRefused(call string, err error, f facts) Epoll {
	errno, ok := err.(unix.Errno)
	if !ok {
		return Epoll{State: Unknown, Reason: ReasonUnexpected, Evidence: []string{err.Error()}}
	}
	reason, state, evidence := explain(call, errno, f)
	return Epoll{State: state, Reason: reason, Evidence: evidence}
}
