package driver_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// runChild starts this binary anew, as the named child.
func runChild(t *testing.T, name string, env ...string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "child is fine") {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

func init() {
	children["eperm"] = func() error { return deniedRing(unix.EPERM) }
	children["enosys"] = func() error { return deniedRing(unix.ENOSYS) }
	children["no descriptors"] = noDescriptors
	children["no registry"] = func() error { return halfARing(unix.ENOMEM, unix.SYS_EPOLL_CTL, driver.StateUninitialized) }
	children["no probe"] = func() error { return halfARing(unix.EINVAL, unix.SYS_IO_URING_REGISTER, driver.StateUnsupported) }
	children["setuid"] = afterSetuid
}

func TestForbiddenRingIsARecordedReasonAndNoError(t *testing.T) {
	needMode(t, driver.SubmitAuto)
	runChild(t, "eperm")
	runChild(t, "enosys")
}

func TestWantOfDescriptorsIsNotCached(t *testing.T) {
	needMode(t, driver.SubmitAuto)
	runChild(t, "no descriptors")
}

func TestRingThatCannotBeWatchedIsNoRing(t *testing.T) {
	needMode(t, driver.SubmitAuto)
	runChild(t, "no registry")
}

func TestRingThatCannotBeProbedIsNoRing(t *testing.T) {
	needMode(t, driver.SubmitAuto)
	runChild(t, "no probe")
}

func deniedRing(errno syscall.Errno) error {
	if err := seccomptest.Deny(errno, unix.SYS_IO_URING_SETUP); err != nil {
		return err
	}
	for _, mode := range bothModes {
		before := leaktest.Take()
		d, err := driver.New(driver.Config{Submit: mode})
		if err != nil {
			return fmt.Errorf("New: %w", err)
		}
		h := d.Handle()
		made := leaktest.Take()
		for range 3 {
			if ok, err := h.CheckAndInit(uring.OpRead); ok || err != nil {
				return fmt.Errorf("%v: CheckAndInit: %v, %w", mode, ok, err)
			}
			if h.State() != driver.StateUnsupported {
				return fmt.Errorf("%v: the answer is not cached: %v", mode, h.State())
			}
		}
		if left := made.Wait(leaktest.Grace); left != "" {
			return errors.New(left)
		}
		if err := wantFallback(h, "io_uring", probe.ReasonSeccomp, errno); err != nil {
			return fmt.Errorf("%v: %w", mode, err)
		}
		res := new(hold)
		o := nop(1)
		o.Hold = res
		if _, err := h.HoldOp(time.Second, o); !errors.Is(err, driver.ErrNoRing) || res.released.Load() != 0 {
			return fmt.Errorf("HoldOp: %w, released %d times", err, res.released.Load())
		}
		if err := h.RegisterOp(o); !errors.Is(err, driver.ErrNoRing) || res.released.Load() != 1 {
			return fmt.Errorf("RegisterOp: %w, released %d times", err, res.released.Load())
		}
		if !errors.Is(driver.ErrNoRing, errors.ErrUnsupported) {
			return errors.New("ErrNoRing is not errors.ErrUnsupported")
		}
		if err := d.Shutdown(context.Background()); err != nil {
			return err
		}
		if left := before.Wait(leaktest.Grace); left != "" {
			return errors.New(left)
		}
	}
	return nil
}

func wantFallback(h *driver.Handle, wanted string, reason probe.Reason, errno syscall.Errno) error {
	list := h.Fallbacks()
	i := slices.IndexFunc(list, func(f driver.Fallback) bool { return f.Wanted == wanted })
	if i < 0 {
		return fmt.Errorf("no fallback for %q in %+v", wanted, list)
	}
	f := list[i]
	if f.Reason != reason || !errors.Is(f.Err, errno) || len(f.Evidence) == 0 {
		return fmt.Errorf("the fallback is %+v, want %v, %v", f, reason, errno)
	}
	return nil
}

// noDescriptors tries to set rings up with none, one... descriptors left.
func noDescriptors() error {
	for _, mode := range available() {
		need := map[driver.SubmitMode]int{driver.SubmitShared: 1, driver.SubmitThread: 2}[mode]
		for left := range need {
			if err := withDescriptors(mode, left); err != nil {
				return fmt.Errorf("%v with %d descriptors: %w", mode, left, err)
			}
		}
	}
	return nil
}

func withDescriptors(mode driver.SubmitMode, n int) error {
	before := leaktest.Take()
	d, err := driver.New(driver.Config{Submit: mode})
	if err != nil {
		return err
	}
	h := d.Handle()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		return err
	}
	var fill []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		fill = append(fill, fd)
	}
	for _, fd := range fill[:n] {
		unix.Close(fd)
	}
	fill = fill[n:]
	ok, err := h.CheckAndInit(uring.OpRead)
	if ok || err != nil {
		return fmt.Errorf("CheckAndInit: %v, %w", ok, err)
	}
	if h.State() != driver.StateUninitialized {
		return fmt.Errorf("the state is %v", h.State())
	}
	if err := h.RegisterOp(nop(1)); !errors.Is(err, driver.ErrNoRing) {
		return fmt.Errorf("RegisterOp: %w", err)
	}
	for range n { // what was left is left again
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("a descriptor has leaked: %w", err)
		}
		fill = append(fill, fd)
	}
	for _, fd := range fill {
		unix.Close(fd)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	if err := wantFallback(h, "io_uring", probe.ReasonFdLimit, unix.EMFILE); err != nil {
		return err
	}
	for try := 0; ; try++ {
		if ok, err := h.CheckAndInit(uring.OpRead); err != nil {
			return err
		} else if ok {
			break
		}
		if time.Sleep(10 * time.Millisecond); try > 2000 {
			return errors.New("the failure is taken for an answer though there are descriptors again")
		}
	}
	if list := h.Fallbacks(); len(list) != 0 {
		return fmt.Errorf("there is a ring, and yet a fallback: %+v", list)
	}
	if h.SubmitMode() != mode {
		return fmt.Errorf("the mode is %v", h.SubmitMode())
	}
	if err := d.Shutdown(context.Background()); err != nil {
		return err
	}
	if left := before.Wait(leaktest.Grace); left != "" {
		return errors.New(left)
	}
	return nil
}

// halfARing lets a ring be made and what has to be done with it then fail.
func halfARing(errno syscall.Errno, call uintptr, want driver.State) error {
	before := leaktest.Take()
	drivers := map[driver.SubmitMode]*driver.Driver{}
	for _, mode := range bothModes {
		d, err := driver.New(driver.Config{Submit: mode})
		if err != nil {
			return err
		}
		drivers[mode] = d
	}
	made := leaktest.Take()
	if err := seccomptest.Deny(errno, call); err != nil {
		return err
	}
	for mode, d := range drivers {
		if mode == driver.SubmitThread && call == unix.SYS_EPOLL_CTL {
			continue // its ring is in no registry
		}
		h := d.Handle()
		if ok, err := h.CheckAndInit(uring.OpRead); ok || err != nil {
			return fmt.Errorf("%v: CheckAndInit: %v, %w", mode, ok, err)
		}
		if h.State() != want {
			return fmt.Errorf("%v: the state is %v", mode, h.State())
		}
		if list := h.Fallbacks(); len(list) == 0 || !errors.Is(list[len(list)-1].Err, errno) {
			return fmt.Errorf("%v: fallbacks: %+v", mode, list)
		}
		if err := h.RegisterOp(nop(1)); !errors.Is(err, driver.ErrNoRing) {
			return fmt.Errorf("%v: RegisterOp: %w", mode, err)
		}
	}
	if left := made.Wait(leaktest.Grace); left != "" {
		return errors.New(left)
	}
	for _, d := range drivers {
		// The registry cannot be written to any more, and says so.
		if err := d.Shutdown(context.Background()); err != nil && !errors.Is(err, errno) {
			return err
		}
	}
	if left := before.Wait(leaktest.Grace); left != "" {
		return errors.New(left)
	}
	return nil
}

func TestRingSwitchedOff(t *testing.T) {
	leaktest.Check(t)
	d, err := driver.New(driver.Config{NoRing: true})
	if err != nil {
		t.Fatal(err)
	}
	h := d.Handle()
	if ok, err := h.CheckAndInit(uring.OpNop); ok || err != nil {
		t.Errorf("CheckAndInit: %v, %v", ok, err)
	}
	if list := h.Fallbacks(); len(list) != 1 || list[0].Reason != probe.ReasonForced {
		t.Errorf("%+v", list)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	leaktest.Check(t)
	for _, cfg := range []driver.Config{{RingEntries: driver.MaxRingEntries + 1}, {RingEntries: 1 << 31}, {Submit: 9}, {Events: 1<<20 + 1}, {Events: math.MaxInt}} {
		if d, err := driver.New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
			_ = d.Shutdown(t.Context())
		}
	}
	d, err := driver.New(driver.Config{Events: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Turn(0); err != nil {
		t.Errorf("a turn of the most events: %v", err)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for _, entries := range []uint32{1, 3, driver.MaxRingEntries} {
		eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
			r := newRig(t, driver.Config{Submit: mode, RingEntries: entries})
			if res := r.do(nop(0)); res != 0 {
				t.Errorf("nop: %d", res)
			}
		})
	}
}

func TestConcurrentFirstUsesMakeOneRing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		needMode(t, mode)
		d, err := driver.New(driver.Config{Submit: mode})
		if err != nil {
			t.Fatal(err)
		}
		start, answers := make(chan bool), make(chan bool)
		for range 16 {
			go func() {
				<-start
				ok, err := d.Handle().CheckAndInit(uring.OpRead)
				answers <- ok && err == nil
			}()
		}
		close(start)
		for range 16 {
			if !<-answers {
				t.Error("no ring")
			}
		}
		rings := 0
		for _, link := range leaktest.Fds() {
			if strings.Contains(link, "io_uring") {
				rings++
			}
		}
		if rings != 1 {
			t.Errorf("%d rings", rings)
		}
		if err := d.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRingDoesNotKeepPrivilegesThatWereGivenUp(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has privileges to give up")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "secret")
	if err := os.WriteFile(name, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	needMode(t, driver.SubmitAuto)
	for _, mode := range available() {
		runChild(t, "setuid", "EDDY_DRIVER_FILE="+name, "EDDY_DRIVER_MODE="+mode.String())
	}
}

// childT makes a rig usable in a child.
type childT struct{ testing.TB }

func (c *childT) Helper()                           {}
func (c *childT) Cleanup(func())                    {}
func (c *childT) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (c *childT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (c *childT) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func afterSetuid() error {
	mode := driver.SubmitShared
	if os.Getenv("EDDY_DRIVER_MODE") == "thread" {
		mode = driver.SubmitThread
	}
	name := os.Getenv("EDDY_DRIVER_FILE")
	r := newRig(new(childT), driver.Config{Submit: mode})
	open := func(flags uring.SQEFlags, hold bool) int32 {
		path, _ := unix.BytePtrFromString(name)
		o := &driver.Op{YieldsFd: true, Name: name}
		o.Entry.PrepOpenat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		o.Entry.Flags = flags
		o.Own(path)
		if hold {
			if _, err := r.HoldOp(patience, o); err != nil {
				r.t.Fatal(err)
			}
			return r.result(o)
		}
		return r.do(o)
	}
	var fd int32
	for range 4 { // makes worker threads, with root's credentials
		if fd = open(uring.SQEAsync, false); fd < 0 {
			return fmt.Errorf("open as root: %v", syscall.Errno(-fd))
		}
		if held := open(uring.SQEAsync, true); held < 0 {
			return fmt.Errorf("open as root, held: %v", syscall.Errno(-held))
		}
	}
	if err := syscall.Setuid(65534); err != nil {
		return err
	}
	for range 20 {
		for _, flags := range []uring.SQEFlags{0, uring.SQEAsync} {
			for _, hold := range []bool{false, true} {
				if res := open(flags, hold); res != -int32(unix.EACCES) {
					return fmt.Errorf("open after setuid (flags %#x, hold %v): %d, want EACCES", flags, hold, res)
				}
			}
		}
		buf := make([]byte, 16)
		o := new(driver.Op)
		o.Entry.PrepRead(int(fd), buf, 0)
		o.OwnBytes(buf)
		if res := r.do(o); res != 6 || string(buf[:6]) != "secret" {
			return fmt.Errorf("read of what was open: %d", res)
		}
	}
	return r.shutdown()
}
