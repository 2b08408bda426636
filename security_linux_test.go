package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/seccomptest"
)

// These tests are what SECURITY.md refers to. Most need a process of their own,
// for what they do to it cannot be undone.

func init() {
	for name, part := range map[string]func(*eddy.Driver) error{
		"gives privileges up for good":   givesPrivilegesUp,
		"gives privileges up for a time": givesPrivilegesUpForATime,
		"thread with other credentials":  threadWithOtherCredentials,
		"starts a program":               startsAProgram,
		"becomes a program":              becomesAProgram,
		"is confined after the switch":   isConfinedAfterTheSwitch,
		"is confined with a ring":        isConfinedWithARing,
		"has blocking sockets":           hasBlockingSockets,
	} {
		roles[name] = func() error {
			b, err := eddy.ParseBackend(os.Getenv("EDDY_TEST_BACKEND"))
			if err == nil {
				err = withDriver(eddy.Config{Backend: b}, part)
			}
			if err == nil {
				fmt.Println("fine")
			}
			return err
		}
	}
	roles["descriptors"] = func() error {
		for fd, what := range descriptors() { // there are those of Go's runtime, too
			if strings.Contains(what, "io_uring") || strings.HasPrefix(what, os.Getenv("EDDY_TEST_DIR")) {
				fmt.Println("inherited:", fd, what)
			}
		}
		fmt.Println("fine")
		return nil
	}
}

func withDriver(cfg eddy.Config, part func(*eddy.Driver) error) error {
	d, err := eddy.New(cfg)
	if err != nil {
		return err
	}
	err = part(d)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, d.Shutdown(ctx))
}

// inChild plays a part in a process of its own, once with each backend of the
// kernel's.
func inChild(t *testing.T, part string, extra ...string) {
	t.Helper()
	for _, s := range settings(t) {
		if s.backend == "portable" || s.name == "uring-shared" {
			continue // each backend once
		}
		t.Run(s.backend, func(t *testing.T) {
			needRing(t, s)
			cmd := inRole(part, append(extra, "EDDY_BACKEND=", "EDDY_TEST_BACKEND="+s.backend, "EDDY_TEST_DIR="+shared(t))...)
			cmd.WaitDelay = 10 * time.Second
			kill := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
			defer kill.Stop()
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != "fine\n" {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// shared is a directory that everybody may look into.
func shared(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// secrets makes a file that only root may open, and one for everybody.
func secrets() (dir, private, public string, err error) {
	dir = os.Getenv("EDDY_TEST_DIR")
	private, public = filepath.Join(dir, "private"), filepath.Join(dir, "public")
	return dir, private, public, errors.Join(os.WriteFile(private, pattern(5000), 0o600), os.WriteFile(public, pattern(5000), 0o644))
}

// opens opens the file in every way there is, several at once, and tells in how
// many it could. Another error than that it is forbidden is reported.
func opens(d *eddy.Driver, name string) (ok int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const each = 8
	results := make(chan error, 2*each)
	for range each {
		go func() {
			f, err := d.OpenFileContext(ctx, name, os.O_RDONLY, 0)
			results <- errors.Join(err, closeFile(f))
		}()
		go func() {
			_, err := d.ReadFile(name)
			results <- err
		}()
	}
	for range cap(results) {
		switch e := <-results; {
		case e == nil:
			ok++
		case !errors.Is(e, fs.ErrPermission):
			err = e
		}
	}
	return ok, err
}

func closeFile(f *eddy.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

const everyWay = 16 // of opens

// expects compares what opens has found.
func expects(d *eddy.Driver, when, name string, want int) error {
	got, err := opens(d, name)
	if err == nil && got != want {
		err = fmt.Errorf("%s %s could be opened in %d of %d ways, want %d", when, filepath.Base(name), got, everyWay, want)
	}
	return err
}

const nobody = 65534

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root has privileges to give up")
	}
}

func TestPrivilegesThatWereGivenUpOpenFiles(t *testing.T) {
	needRoot(t)
	inChild(t, "gives privileges up for good")
}

func givesPrivilegesUp(d *eddy.Driver) error {
	_, private, public, err := secrets()
	if err == nil {
		err = expects(d, "as root", private, everyWay)
	}
	if err != nil {
		return err
	}
	open, err := d.Open(private)
	if err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		return err
	}
	for range 5 {
		if err := errors.Join(expects(d, "as nobody", private, 0), expects(d, "as nobody", public, everyWay)); err != nil {
			return err
		}
	}
	// What is open stays open, as with any descriptor.
	p := make([]byte, 5000)
	if _, err := open.ReadAt(p, 0); err != nil || string(p) != string(pattern(5000)) {
		return fmt.Errorf("a file that was open: %w", err)
	}
	return open.Close()
}

func TestPrivilegesThatWereGivenUpForATimeOpenFiles(t *testing.T) {
	needRoot(t)
	inChild(t, "gives privileges up for a time")
}

func givesPrivilegesUpForATime(d *eddy.Driver) error {
	_, private, public, err := secrets()
	if err != nil {
		return err
	}
	for range 2 { // each change stops every thread, which on a busy machine takes its time
		if err := expects(d, "as root", private, everyWay); err != nil {
			return err
		}
		if err := errors.Join(syscall.Setegid(nobody), syscall.Seteuid(nobody)); err != nil {
			return err
		}
		if err := errors.Join(expects(d, "as nobody", private, 0), expects(d, "as nobody", public, everyWay)); err != nil {
			return err
		}
		if err := errors.Join(syscall.Seteuid(0), syscall.Setegid(0)); err != nil {
			return err
		}
	}
	return nil
}

// Credentials of a single thread are its own: what has no context that can end
// is opened by it.
func TestThreadOpensWithTheCredentialsOfOthers(t *testing.T) {
	needRoot(t)
	inChild(t, "thread with other credentials")
}

func threadWithOtherCredentials(d *eddy.Driver) error {
	_, private, public, err := secrets()
	if err == nil {
		err = expects(d, "as root", private, everyWay)
	}
	if err != nil {
		return err
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); errno != 0 {
		return errno
	}
	for range 20 {
		f, err := d.Open(private)
		if err == nil {
			return errors.Join(errors.New("opened by a thread that may not"), f.Close())
		}
		if !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if f, err = d.Open(public); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// busy gives the driver everything it can have open: a ring, rings of callers,
// a registration, signals, requests that nobody answers.
func busy(d *eddy.Driver, dir string) (end func() error, err error) {
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, blocks(4), 0o600); err != nil {
		return nil, err
	}
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	signals, err := d.Signals(syscall.SIGUSR1)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	reg, err := d.Register(fd, 1)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		_, _ = d.OpenFileContext(ctx, fifo, os.O_RDONLY, 0)
	}()
	for range 20 {
		p := aligned(blockSize)
		if _, err := f.ReadAtContext(ctx, p, 0); err != nil {
			cancel()
			return nil, err
		}
		if err := f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p}}); err != nil {
			cancel()
			return nil, err
		}
	}
	for d.Metrics().Driver.InFlight == 0 && d.Metrics().Offloaded == 0 {
		time.Sleep(time.Millisecond)
	}
	return func() error {
		cancel()
		<-opened
		// An open that goes on without its caller ends when somebody writes.
		w, err := os.OpenFile(fifo, os.O_RDWR, 0)
		if err == nil {
			time.Sleep(20 * time.Millisecond)
			err = w.Close()
		}
		return errors.Join(err, signals.Close(), reg.Deregister(), unix.Close(fd), f.Close())
	}, nil
}

func TestProgramInheritsDescriptors(t *testing.T) { inChild(t, "starts a program") }

func startsAProgram(d *eddy.Driver) error {
	foreign := descriptors() // those of the driver are looked at too: it has just been made
	for fd, what := range foreign {
		if strings.Contains(what, "anon_inode") {
			delete(foreign, fd)
		}
	}
	end, err := busy(d, os.Getenv("EDDY_TEST_DIR"))
	if err != nil {
		return err
	}
	for fd, what := range descriptors() {
		number, err := strconv.Atoi(fd)
		if err != nil {
			return err
		}
		flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
		if _, ok := foreign[fd]; !ok && (err != nil || flags&unix.FD_CLOEXEC == 0) {
			return fmt.Errorf("descriptor %s, %s, is not closed on exec: %#x, %w", fd, what, flags, err)
		}
	}
	out, err := inRole("descriptors").CombinedOutput()
	if err == nil && string(out) != "fine\n" {
		err = errors.New(string(out))
	}
	return errors.Join(err, end())
}

// The kernel takes back what is in flight when a process becomes another
// program.
func TestExecKeepsDescriptorsOrHangs(t *testing.T) { inChild(t, "becomes a program") }

func becomesAProgram(d *eddy.Driver) error {
	if _, err := busy(d, os.Getenv("EDDY_TEST_DIR")); err != nil {
		return err
	}
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, roleVariable+"=") {
			env = append(env, v)
		}
	}
	return syscall.Exec(os.Args[0], os.Args[:1], append(env, roleVariable+"=descriptors"))
}

// A filter on openat(2) sees no open that a ring does. After DisableRing there
// are none.
func TestFilterMissesWhatIsDoneAfterTheSwitch(t *testing.T) {
	inChild(t, "is confined after the switch")
}

func isConfinedAfterTheSwitch(d *eddy.Driver) error {
	_, private, _, err := secrets()
	if err == nil {
		err = expects(d, "without a filter", private, everyWay)
	}
	if err != nil {
		return err
	}
	d.DisableRing()
	if err := seccomptest.Deny(unix.EPERM, unix.SYS_OPENAT, unix.SYS_OPENAT2); err != nil {
		return err
	}
	return expects(d, "under the filter", private, 0)
}

// A process that forbids itself the ring while it is in use loses the ring and
// nothing else.
func TestFilterOnARingInUseBreaksFiles(t *testing.T) { inChild(t, "is confined with a ring") }

func isConfinedWithARing(d *eddy.Driver) error {
	dir, _, public, err := secrets()
	if err == nil {
		err = expects(d, "without a filter", public, everyWay)
	}
	if err != nil {
		return err
	}
	f, err := d.Open(public)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := seccomptest.Deny(unix.EPERM, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER); err != nil {
		return err
	}
	if err := expects(d, "under the filter", public, everyWay); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 20 {
		p := make([]byte, 5000)
		if _, err := f.ReadAt(p, 0); err != nil {
			return err
		}
		if _, err := f.ReadAtContext(ctx, p, 0); err != nil || string(p) != string(pattern(5000)) {
			return fmt.Errorf("read with a context: %w", err)
		}
		if err := f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p[:100]}, {Buf: p[100:], Off: 100}}); err != nil || string(p) != string(pattern(5000)) {
			return fmt.Errorf("batch: %w", err)
		}
	}
	if err := idles(); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, "public"))
}

// idles finds out whether something is busy though there is nothing to do. It
// compares the processor's time with the clock's: one thread that spins takes
// all of it.
func idles() error {
	var before, after unix.Rusage
	began := time.Now()
	if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
		return err
	}
	busy := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	if whole := time.Since(began); busy > whole/4 {
		return fmt.Errorf("idle for %v, of which the process took %v", whole, busy)
	}
	return nil
}

// No ring of the driver's has a kernel thread that submits: SQPOLL's has the
// credentials of whoever made the ring.
func TestRingHasAKernelThreadOfItsOwn(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		end, err := busy(d, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		rings := 0
		for fd, what := range descriptors() {
			if !strings.Contains(what, "[io_uring]") {
				continue
			}
			rings++
			info, err := os.ReadFile("/proc/self/fdinfo/" + fd)
			if err != nil || !strings.Contains(string(info), "SqThread:\t-1\n") {
				t.Errorf("the ring on descriptor %s: %v\n%s", fd, err, info)
			}
		}
		if rings == 0 {
			t.Error("there is no ring")
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		shutdown(t, d)
	})
}

// The rings' memory is not there for a child that is forked and not replaced.
func TestForkedChildSharesRings(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		end, err := busy(d, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		smaps, err := os.ReadFile("/proc/self/smaps")
		if err != nil {
			t.Fatal(err)
		}
		found, ring := 0, false
		for line := range strings.Lines(string(smaps)) {
			if strings.Contains(line, "anon_inode:[io_uring]") {
				ring = true
			}
			if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && ring {
				ring = false
				found++
				if !strings.Contains(flags+" ", " dc ") {
					t.Errorf("a mapping of a ring has no DONTFORK flag: %s", flags)
				}
			}
		}
		if found == 0 {
			t.Error("no ring is mapped")
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		shutdown(t, d)
	})
}
