package probe

import (
	"strings"
	"testing"
)

func TestKernelRelease(t *testing.T) {
	for text, want := range map[string]version{
		"6.18.44\n":                  {6, 18},
		"5.10.0-26-amd64":            {5, 10},
		"6.1-rc3":                    {6, 1},
		"5.15.90.1-microsoft-WSL2":   {5, 15},
		"4.4.0":                      {4, 4}, // what gVisor says
		"10.0":                       {10, 0},
		"":                           {},
		"\n":                         {},
		"6":                          {},
		"6.":                         {},
		".18":                        {},
		"linux":                      {},
		"v6.18":                      {},
		"-6.18":                      {},
		"+6.18":                      {},
		"6.x":                        {},
		"99999999999.1":              {},
		"6.99999999999":              {},
		"0.0":                        {},
		"6.18" + "\x00\xff":          {6, 18},
		strings.Repeat("9", 100_000): {},
	} {
		if got := parseRelease(text); got != want {
			t.Errorf("%.40q is %v, want %v", text, got, want)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	for _, test := range []struct {
		v            version
		before, from bool // of 5.12
	}{
		{version{5, 11}, true, false},
		{version{5, 12}, false, true},
		{version{5, 13}, false, true},
		{version{4, 19}, true, false},
		{version{6, 0}, false, true},
		{version{}, false, false}, // unknown is neither
	} {
		if before, from := test.v.before(5, 12), test.v.from(5, 12); before != test.before || from != test.from {
			t.Errorf("%v: before %v, from %v", test.v, before, from)
		}
	}
}

func TestSysctlFile(t *testing.T) {
	for text, want := range map[string]int{"0\n": 0, "1\n": 1, "2\n": 2, "-1\n": -1, " 1000 ": 1000} {
		if got := parseSysctl(text); got == nil || *got != want {
			t.Errorf("%q is %v, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", "\n", "on", "1 2", "0x2", "1.0", "99999999999999999999", "\x00"} {
		if got := parseSysctl(text); got != nil {
			t.Errorf("%q is %d, want nothing", text, *got)
		}
	}
}

func TestStatusFile(t *testing.T) {
	const full = "Name:\teddy: Seccomp:\nUid:\t0\t0\t0\t0\nCapInh:\t0000000000000000\n" +
		"CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n" +
		"Seccomp_filters:\t2\nSpeculation_Store_Bypass:\tthread vulnerable\n"
	for _, test := range []struct {
		name    string
		text    string
		seccomp string
		admin   bool
	}{
		{"root", full, seccompDisabled, true},
		{"filter", strings.Replace(full, "Seccomp:\t0", "Seccomp:\t2", 1), seccompFilter, true},
		{"strict", "Seccomp:\t1\n", seccompStrict, false},
		{"no end of line", "Seccomp:\t2", seccompFilter, false},
		{"only the inheritable set", "CapInh:\t000001ffffffffff\nCapEff:\t0000000000000000\n", seccompUnknown, false},
		{"one capability", "CapEff:\t0000000000200000\n", seccompUnknown, true},
		{"without the field", "Name:\teddy\n", seccompUnknown, false},
		{"empty", "", seccompUnknown, false},
		{"count of filters only", "Seccomp_filters:\t2\n", seccompUnknown, false},
		{"new mode", "Seccomp:\t3\n", seccompUnknown, false},
		{"junk", "Seccomp:\tyes\nCapEff:\tall\n:\n::::\n\x00\xff", seccompUnknown, false},
		{"endless line", "Seccomp:\t2\nGroups:\t" + strings.Repeat("9 ", 100_000), seccompFilter, false},
		{"endless line first", "Groups:\t" + strings.Repeat("9 ", 100_000) + "\nSeccomp:\t2\n", seccompFilter, false},
	} {
		got := parseStatus(test.text)
		if got.seccomp != test.seccomp || got.capable(capSysAdmin) != test.admin {
			t.Errorf("%s: seccomp %q, CAP_SYS_ADMIN %v; want %q, %v",
				test.name, got.seccomp, got.capable(capSysAdmin), test.seccomp, test.admin)
		}
	}
}

func TestUserNamespace(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n":                               true,
		"         0     100000      65536\n":                               false,
		"         0       1000          1\n         1     100000  65536\n": false,
		"0 0 4294967295\n5 5 1\n":                                          false,
		"":                                                                 false,
		"0 0":                                                              false,
		"0 0 429496729":                                                    false,
	} {
		if got := parseUIDMap(text); got != want {
			t.Errorf("%q: initial %v, want %v", text, got, want)
		}
	}
}

func TestContainerHint(t *testing.T) {
	for _, test := range []struct {
		files, variables, want string
	}{
		{"", "", ""},
		{"/.dockerenv", "", "docker"},
		{"/run/.containerenv", "container=oci", "podman"},
		{"/.dockerenv", "KUBERNETES_SERVICE_HOST=10.0.0.1", "kubernetes"},
		{"", "container=lxc", "lxc"},
		{"", "container=systemd-nspawn", "systemd-nspawn"},
	} {
		getenv := func(name string) string {
			if value, found := strings.CutPrefix(test.variables, name+"="); found {
				return value
			}
			return ""
		}
		exists := func(path string) bool { return path == test.files }
		if got := containerHint(exists, getenv); got != test.want {
			t.Errorf("%q, %q: %q, want %q", test.files, test.variables, got, test.want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add("6.18.4\nSeccomp:\t2\n")
	f.Add("0 0 4294967295")
	f.Fuzz(func(t *testing.T, text string) {
		if v := parseRelease(text); v.major < 0 || v.minor < 0 {
			t.Errorf("version %v", v)
		}
		parseSysctl(text)
		parseUIDMap(text)
		switch s := parseStatus(text); s.seccomp {
		case seccompDisabled, seccompStrict, seccompFilter, seccompUnknown:
		default:
			t.Errorf("seccomp mode %q", s.seccomp)
		}
	})
}
