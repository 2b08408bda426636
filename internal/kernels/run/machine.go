package main

import "time"

// machine is one that the tests are run on.
type machine struct {
	name string
	arch string // GOARCH of the tests
	// kernelArch is Debian's name of the kernel's architecture; "" for arch.
	kernelArch string
	// suite is the Debian release that the kernel is from; "" for none, where
	// the binaries are run by an emulator of the processor alone.
	suite   string
	memory  int               // MiB
	sysctls map[string]string // set before the tests
	only    []string          // suites to run; all if empty
	pattern string            // tests to run, whatever patterns says; "" for no such wish
	// patterns are the tests to run of suites that are not run as a whole.
	patterns map[string]string
	without  []omission
	env      []string
	timeout  time.Duration // for a suite

	// What package probe and a driver without settings have to say there.
	wantState   string // of io_uring
	wantReason  string // why it is not usable
	wantBackend string
	wantSubmit  string
}

// omission is a test that is not run, and why. It is counted and reported like
// a skip.
type omission struct {
	suite, test, reason string
}

var (
	disabled = map[string]string{"kernel/io_uring_disabled": "2"}
	some     = map[string]string{"eddy": telling}
)

// machines are in an order that lets the long ones begin first.
var machines = []*machine{
	{name: "amd64-6.1", arch: "amd64", suite: "bookworm", memory: 1024, patterns: some,
		wantState: "usable", wantBackend: "uring", wantSubmit: "thread"},
	{name: "amd64-5.10", arch: "amd64", suite: "bullseye", memory: 1024, patterns: some,
		wantState: "usable", wantBackend: "uring", wantSubmit: "shared"},
	{name: "amd64-6.12", arch: "amd64", suite: "trixie", memory: 1024, patterns: some,
		env:       []string{"EDDY_TEST_SYSCTL=1"}, // the machine is the tests' own
		wantState: "usable", wantBackend: "uring", wantSubmit: "thread"},
	{name: "arm64-6.1", arch: "arm64", suite: "bookworm", memory: 1024, patterns: some,
		without:   []omission{races, errnos},
		only:      append([]string{"eddy", "driver", "poll", "probe"}, small...),
		wantState: "usable", wantBackend: "uring", wantSubmit: "thread"},
	{name: "amd64-6.12-disabled", arch: "amd64", suite: "trixie", memory: 1024, sysctls: disabled, patterns: some,
		without:   []omission{errnos},
		wantState: "unusable", wantReason: "sysctl", wantBackend: "epoll"},
	// Debian's kernel keeps some 60 MiB for itself, and does not start on less
	// than 96: this is what leaves 64 MiB for everything else. The tests that
	// move many bytes at once do not fit in.
	{name: "amd64-6.1-64MiB", arch: "amd64", suite: "bookworm", memory: 112,
		only:      []string{"eddy"},
		patterns:  map[string]string{"eddy": frugal},
		wantState: "usable", wantBackend: "uring", wantSubmit: "thread"},
	// qemu's emulator for the 386 dies of Go's signal handlers, so that all of
	// the tests are run as 386 programs on a kernel for amd64 instead, and by
	// the emulator only those that receive no signals.
	{name: "386-6.12-disabled", arch: "386", kernelArch: "amd64", suite: "trixie", memory: 1024, sysctls: disabled, patterns: some,
		without:   []omission{errnos},
		wantState: "unusable", wantReason: "sysctl", wantBackend: "epoll"},
	{name: "user-386", arch: "386",
		only:      []string{"slab", "leaktest", "seccomptest", "probe", "uring"},
		env:       []string{"GODEBUG=asyncpreemptoff=1"},
		wantState: "unusable", wantReason: "enosys", wantBackend: "epoll"},
	{name: "user-arm64", arch: "arm64", patterns: some, without: []omission{errnos},
		wantState: "unusable", wantReason: "enosys", wantBackend: "epoll"},
	{name: "user-s390x", arch: "s390x", patterns: some, without: []omission{errnos, bigEndianControl},
		wantState: "unusable", wantReason: "enosys", wantBackend: "epoll"},
}

// kernelFor is the architecture of the kernel.
func (m *machine) kernelFor() string {
	if m.kernelArch != "" {
		return m.kernelArch
	}
	return m.arch
}
