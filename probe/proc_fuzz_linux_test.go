package probe

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// FuzzProc gives the parsers of what the kernel writes under /proc any text,
// and compares with what the formats' descriptions, put as regular expressions,
// make of it.
func FuzzProc(f *testing.F) {
	for _, text := range []string{
		"", "6.18.4-arch1-1\n", "5.10-rc3", "4.4.0-19041-Microsoft", "6", "65536.1", "6.x", "６.18", " 6.1", "+6.1", "-1.2", "6.1e9",
		"0\n", "1\n", "2\n", "-1\n", "3000000000", "0x2", "2 2",
		"Seccomp:\t2\nSeccomp_filters:\t1\nCapEff:\t000001ffffffffff\n", "Seccomp:\t02\nCapEff:\tffffffffffffffffff\n",
		"Name:\tSeccomp:\t2\nCapEff:\t\n", "CapEff: -1\nSeccomp", "Seccomp:2\rCapEff:1\n",
		"         0          0 4294967295\n", "0 0 4294967295\n1 1 1\n", "0 0 04294967295", "0\v0\u00a04294967295",
	} {
		f.Add(text, uint16(syscall.EPERM))
	}
	f.Fuzz(func(t *testing.T, text string, errno uint16) {
		checkRelease(t, text)
		checkSysctl(t, text)
		checkUIDMap(t, text)
		checkStatus(t, text)
		checkExplanation(t, text, syscall.Errno(errno%600))
	})
}

var (
	releaseFormat = regexp.MustCompile(`^0*([0-9]{1,5})\.0*([0-9]{1,5})([^0-9]|$)`)
	sysctlFormat  = regexp.MustCompile(`^[-+]?[0-9]+$`)
	seccompFormat = regexp.MustCompile(`(?m)^Seccomp:[ \t]*([^\n]*?)[ \t\r]*$`)
	capsFormat    = regexp.MustCompile(`^0*([0-9a-fA-F]{1,16})$`)
)

func checkRelease(t *testing.T, text string) {
	t.Helper()
	var want version
	if parts := releaseFormat.FindStringSubmatch(strings.TrimSpace(text)); parts != nil {
		major, _ := strconv.Atoi(parts[1])
		minor, _ := strconv.Atoi(parts[2])
		if major <= 65535 && minor <= 65535 {
			want = version{major, minor}
		}
	}
	got := parseRelease(text)
	if got != want {
		t.Errorf("release %q: %v, want %v", text, got, want)
	}
	for _, v := range []version{{1, 0}, {5, 1}, {5, 12}, {6, 14}, {65535, 65535}} {
		before, from := got.before(v.major, v.minor), got.from(v.major, v.minor)
		if before && from || before == from && got.major > 0 || (before || from) && got.major == 0 {
			t.Errorf("release %q: before %v: %v, from it on: %v", text, v, before, from)
		}
	}
}

func checkSysctl(t *testing.T, text string) {
	t.Helper()
	trimmed := strings.TrimSpace(text)
	n, err := strconv.ParseFloat(trimmed, 64) // numbers of 32 bits are exact
	valid := sysctlFormat.MatchString(trimmed) && err == nil && n >= -1<<31 && n < 1<<31
	switch got := parseSysctl(text); {
	case valid != (got != nil):
		t.Errorf("sysctl %q: valid %v, want %v", text, got != nil, valid)
	case valid && float64(*got) != n:
		t.Errorf("sysctl %q: %d", text, *got)
	}
}

func checkUIDMap(t *testing.T, text string) {
	t.Helper()
	if got, want := parseUIDMap(text), strings.Join(strings.Fields(text), " ") == "0 0 4294967295"; got != want {
		t.Errorf("uid_map %q: initial %v, want %v", text, got, want)
	}
}

func checkStatus(t *testing.T, text string) {
	t.Helper()
	got := parseStatus(text)
	modes := map[string]string{"0": seccompDisabled, "1": seccompStrict, "2": seccompFilter}
	if all := seccompFormat.FindAllStringSubmatch(text, -1); all == nil {
		if got.seccomp != seccompUnknown {
			t.Errorf("status %q: seccomp mode %q", text, got.seccomp)
		}
	} else if last := strings.TrimSpace(all[len(all)-1][1]); modes[last] != "" && got.seccomp != modes[last] ||
		modes[last] == "" && got.seccomp != seccompUnknown {
		t.Errorf("status %q: seccomp mode %q", text, got.seccomp)
	}
	var caps uint64
	for line := range strings.SplitSeq(text, "\n") {
		value, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		if digits := capsFormat.FindStringSubmatch(strings.TrimSpace(value)); digits != nil {
			caps, _ = strconv.ParseUint(digits[1], 16, 64)
		}
	}
	if got.capabilities != caps {
		t.Errorf("status %q: capabilities %#x, want %#x", text, got.capabilities, caps)
	}
	for bit := range 64 {
		if got.capable(bit) != (caps>>bit&1 != 0) {
			t.Errorf("status %q: capability %d: %v", text, bit, got.capable(bit))
		}
	}
}

// checkExplanation draws conclusions from all of it: whatever the files say,
// the answer is one that exists, with something to show for it.
func checkExplanation(t *testing.T, text string, errno syscall.Errno) {
	t.Helper()
	f := facts{kernel: text, status: parseStatus(text), privileged: parseUIDMap(text)}
	f.limits.URingDisabled = parseSysctl(text)
	f.limits.Container = containerHint(func(string) bool { return false }, func(string) string { return text })
	reason, state, evidence := explain("io_uring_setup", errno, f)
	if !slices.Contains(Reasons(), reason) || state != Unusable && state != Unknown {
		t.Errorf("%v and %q: %q, %q", errno, text, reason, state)
	}
	if len(evidence) < 2 || slices.Contains(evidence, "") {
		t.Errorf("%v and %q: the evidence is %q", errno, text, evidence)
	}
}
