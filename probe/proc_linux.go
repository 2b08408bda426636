package probe

import (
	"strconv"
	"strings"
)

// The parsers below take what the kernel wrote to a file under /proc. None of
// them trusts it: emulations of Linux write other things there, or nothing.

// version is the first two numbers of a kernel release.
type version struct{ major, minor int }

// before reports whether v is known and lower than major.minor.
func (v version) before(major, minor int) bool {
	return v.known() && (v.major < major || v.major == major && v.minor < minor)
}

// from reports whether v is known and major.minor or higher.
func (v version) from(major, minor int) bool {
	return v.known() && !v.before(major, minor)
}

func (v version) known() bool { return v.major > 0 }

// parseRelease reads a kernel release such as "6.18.4-arch1-1" or "5.10-rc3". It
// is the zero version if it cannot.
func parseRelease(release string) version {
	majorText, rest, found := strings.Cut(strings.TrimSpace(release), ".")
	if !found {
		return version{}
	}
	minorText := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	major, ok1 := parseCount(majorText)
	minor, ok2 := parseCount(minorText)
	if !ok1 || !ok2 {
		return version{}
	}
	return version{major, minor}
}

// parseCount reads a small unsigned decimal number of digits only.
func parseCount(text string) (int, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err == nil
}

// parseSysctl reads a file with one number, as kernel.io_uring_disabled is. It is
// nil if it cannot.
func parseSysctl(text string) *int {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return nil
	}
	i := int(n)
	return &i
}

// The Seccomp field of /proc/pid/status, proc_pid_status(5).
const (
	seccompUnknown  = "unknown"
	seccompDisabled = "disabled"
	seccompStrict   = "strict"
	seccompFilter   = "filter"
)

// status is what is read of /proc/pid/status.
type status struct {
	seccomp      string
	capabilities uint64 // effective ones
}

// Capability numbers, <linux/capability.h>.
const (
	capIPCLock  = 14
	capSysAdmin = 21
)

func (s status) capable(capability int) bool { return s.capabilities&(1<<capability) != 0 }

// parseStatus reads /proc/pid/status; what is missing or garbled is unknown, and
// no capability.
func parseStatus(text string) status {
	s := status{seccomp: seccompUnknown}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		value = strings.TrimSpace(value)
		switch name {
		case "Seccomp":
			s.seccomp = parseSeccomp(value)
		case "CapEff":
			if n, err := strconv.ParseUint(value, 16, 64); err == nil {
				s.capabilities = n
			}
		}
	}
	return s
}

func parseSeccomp(mode string) string {
	switch mode {
	case "0":
		return seccompDisabled
	case "1":
		return seccompStrict
	case "2":
		return seccompFilter
	}
	return seccompUnknown
}

// parseUIDMap reads /proc/pid/uid_map and reports whether it is that of the
// initial user namespace: the only one where a capability counts for system-wide
// matters.
func parseUIDMap(text string) (initial bool) {
	fields := strings.Fields(text)
	return len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295"
}

// containerHint guesses what encloses the process, from the marker files that
// engines create and the variables they set.
func containerHint(exists func(path string) bool, getenv func(name string) string) string {
	switch {
	case getenv("KUBERNETES_SERVICE_HOST") != "":
		return "kubernetes"
	case exists("/run/.containerenv"):
		return "podman"
	case exists("/.dockerenv"):
		return "docker"
	}
	return getenv("container")
}
