package uring_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

var skips atomic.Int32

// TestMain counts what could not be tested; EDDY_NO_SKIPS=1 makes that a failure.
func TestMain(m *testing.M) {
	runChild()
	code := m.Run()
	if n := skips.Load(); n != 0 {
		fmt.Printf("SKIP-KERNEL: %d tests skipped\n", n)
		if code == 0 && os.Getenv("EDDY_NO_SKIPS") != "" {
			code = 1
		}
	}
	os.Exit(code)
}

func skipKernel(t *testing.T, format string, args ...any) {
	t.Helper()
	skips.Add(1)
	t.Skip("SKIP-KERNEL: " + fmt.Sprintf(format, args...))
}

func fatalIf(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newRing skips where the kernel refuses for a reason of its own: no io_uring,
// or not these flags.
func newRing(t *testing.T, entries uint32, cfg uring.Config) *uring.Ring {
	t.Helper()
	r, err := uring.New(entries, cfg)
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		skipKernel(t, "no io_uring: %v", err)
	case errors.Is(err, unix.EINVAL) && cfg.Flags != 0:
		skipKernel(t, "flags unknown: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// orSkip is fatalIf, but skips if the kernel does not know the call.
func orSkip(t *testing.T, what string, err error) {
	t.Helper()
	if errors.Is(err, unix.EINVAL) {
		skipKernel(t, "%s: %v", what, err)
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func needOps(t *testing.T, r *uring.Ring, ops ...uring.Op) {
	t.Helper()
	p, err := r.Probe()
	orSkip(t, "Probe", err)
	for _, op := range ops {
		if !p.Supports(op) {
			skipKernel(t, "no %v", op)
		}
	}
}

func lockThread(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// pin keeps p where it is, and there, until the test is over.
func pin[T any](t *testing.T, p *T) *T {
	var pinner runtime.Pinner
	pinner.Pin(p)
	t.Cleanup(pinner.Unpin)
	return p
}

func pinnedBytes(t *testing.T, n int) []byte {
	p := make([]byte, n)
	pin(t, &p[0])
	return p
}

func pinnedText(t *testing.T, text string) []byte {
	p := pinnedBytes(t, len(text))
	copy(p, text)
	return p
}

func path(t *testing.T, elements ...string) *byte {
	t.Helper()
	p, err := unix.BytePtrFromString(filepath.Join(elements...))
	fatalIf(t, err)
	return pin(t, p)
}

const testUserData uint64 = 0x1122334455667788

// next takes an entry that must be there. A SetupSQPoll thread posts completions
// before it makes room for as many entries, so wait for that; but only then, for
// waiting shows the thread what was taken so far, which may be half a chain.
func next(t *testing.T, r *uring.Ring, userData uint64) *uring.SQE {
	t.Helper()
	s := r.Next()
	if s == nil {
		fatalIf(t, r.WaitSpace())
		s = r.Next()
	}
	if s == nil {
		t.Fatal("the queue is full")
	}
	s.UserData = userData
	return s
}

// submit hands over everything queued; to a SetupSQPoll thread, which may still
// have some from before.
func submit(t *testing.T, r *uring.Ring) {
	t.Helper()
	want := r.Queued()
	if n, err := r.Submit(); err != nil || n != want && r.SetupFlags()&uring.SetupSQPoll == 0 {
		t.Fatalf("Submit = %d, %v; want %d", n, err, want)
	}
}

// reap waits for exactly n completions. It gives up after ten waits in vain, not
// after ten seconds: a machine that stands still for so long loses nothing.
func reap(t *testing.T, r *uring.Ring, n int) []uring.CQE {
	t.Helper()
	var all []uring.CQE
	buffer := make([]uring.CQE, n)
	for vain := 0; ; {
		k := r.Reap(buffer[:n-len(all)])
		all = append(all, buffer[:k]...)
		if len(all) == n {
			return all
		}
		if k == 0 && vain == 10 {
			t.Fatalf("only %d of %d completions came: %v", len(all), n, all)
		}
		switch _, err := r.SubmitAndWait(1, time.Second); err {
		case unix.ETIME:
			vain++
		case nil, unix.EINTR:
		default:
			t.Fatalf("SubmitAndWait: %v", err)
		}
	}
}

// do runs one operation and returns its completion.
func do(t *testing.T, r *uring.Ring, prepare func(s *uring.SQE)) uring.CQE {
	t.Helper()
	prepare(next(t, r, testUserData))
	c := reap(t, r, 1)[0]
	if c.UserData != testUserData {
		t.Fatalf("a completion of %#x came, want %#x", c.UserData, testUserData)
	}
	return c
}

// must runs one operation that succeeds and returns its result.
func must(t *testing.T, r *uring.Ring, prepare func(s *uring.SQE)) int {
	t.Helper()
	c := do(t, r, prepare)
	if c.Err() != nil {
		t.Fatalf("the operation failed: %v", c.Err())
	}
	return int(c.Res)
}

// byUserData indexes completions, each of which must be there once.
func byUserData(t *testing.T, all []uring.CQE) map[uint64]uring.CQE {
	t.Helper()
	m := map[uint64]uring.CQE{}
	for _, c := range all {
		if _, twice := m[c.UserData]; twice {
			t.Fatalf("two completions of %#x: %v", c.UserData, all)
		}
		m[c.UserData] = c
	}
	return m
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func openFile(t *testing.T, content string) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "file")
	fatalIf(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.WriteString(content)
	fatalIf(t, err)
	return f
}

func pipe(t *testing.T) (readEnd, writeEnd int) {
	t.Helper()
	var fds [2]int
	fatalIf(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func socketPair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	fatalIf(t, err)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func write(t *testing.T, fd int, text string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(text)); err != nil || n != len(text) {
		t.Fatalf("write = %d, %v", n, err)
	}
}

// eventually polls for what another thread or the kernel is about to do.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// openDescriptors and ringMappings count what a ring may leak.
func openDescriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	fatalIf(t, err)
	return len(names)
}

func ringMappings(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	fatalIf(t, err)
	return strings.Count(string(maps), "io_uring") + strings.Count(string(maps), "/dev/zero")
}
