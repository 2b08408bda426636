package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/probe"
)

func init() {
	roles["no ring"] = func() error {
		if os.Getenv("EDDY_TEST_ERRNO") == "ENOSYS" {
			return withoutRing(syscall.ENOSYS)
		}
		return withoutRing(syscall.EPERM)
	}
}

// withoutRing is what a process does whose sandbox has no io_uring.
func withoutRing(errno syscall.Errno) error {
	if err := seccomptest.Deny(errno, unix.SYS_IO_URING_SETUP); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "eddy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "file")
	if err := eddy.WriteFile(name, pattern(9000), 0o600); err != nil {
		return err
	}
	f, err := eddy.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := make([]byte, 9000)
	for i := range 20 {
		reads := []eddy.BatchRead{{Buf: p[:4000]}, {Buf: p[4000:], Off: 4000}}
		var err error
		if i%2 == 0 {
			_, err = f.ReadAtContext(ctx, p, 0)
		} else {
			err = f.ReadBatch(ctx, reads)
		}
		if err != nil || string(p) != string(pattern(9000)) {
			return fmt.Errorf("read %d: %w", i, err)
		}
	}
	s := eddy.Default().Status()
	fmt.Println(s)
	i := slices.IndexFunc(s.Fallbacks, func(f eddy.Fallback) bool { return f.Wanted == "io_uring" })
	if s.Backend != eddy.BackendEpoll || i < 0 {
		return fmt.Errorf("the status is %v", s)
	}
	const wantReason = probe.ReasonSeccomp // a filter answers with any errno it likes
	if got := s.Fallbacks[i]; !errors.Is(got.Err, errno) || got.Reason != wantReason {
		return fmt.Errorf("the reason is %q (%v), not %q", got.Reason, got.Err, wantReason)
	}
	d, err := eddy.New(eddy.Config{Backend: eddy.BackendURing})
	if !errors.Is(err, driver.ErrNoRing) || !errors.Is(err, errors.ErrUnsupported) || d != nil {
		return fmt.Errorf("BackendURing: %w", err)
	}
	if !strings.Contains(err.Error(), string(wantReason)) {
		return fmt.Errorf("the error does not say why: %w", err)
	}
	return eddy.Default().Close()
}

func TestSandboxWithoutRingBreaksFiles(t *testing.T) {
	if !seccomptest.Supported() {
		t.Skip("SKIPPED: no seccomp here")
	}
	if probe.Get().URing.Reason == probe.ReasonSysctl {
		t.Skip("SKIPPED: the sysctl forbids io_uring already")
	}
	for _, errno := range []string{"EPERM", "ENOSYS"} {
		t.Logf("%s: %s", errno, plays(t, "no ring", "EDDY_BACKEND=", "EDDY_TEST_ERRNO="+errno))
	}
}

// A driver that could not be made leaves nothing behind.
func TestNewLeaksWhenDescriptorsRunOut(t *testing.T) {
	plays(t, "few descriptors", "EDDY_BACKEND=")
}

func init() {
	roles["few descriptors"] = fewDescriptors
}

// fewDescriptors makes drivers under every limit there is until one can be made
// and can do its work.
func fewDescriptors() error {
	warmUp()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	used := uint64(64) // fill up the numbers below, so that the limit counts
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			return err
		}
		if uint64(fd) >= used {
			unix.Close(fd)
			break
		}
	}
	before := descriptors()
	failed, worked := 0, 0
	for extra := range uint64(16) {
		for _, b := range []eddy.Backend{eddy.BackendAuto, eddy.BackendURing, eddy.BackendEpoll} {
			low := unix.Rlimit{Cur: used + extra, Max: limit.Max}
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
				return err
			}
			d, err := eddy.New(eddy.Config{Backend: b})
			if err == nil {
				_ = d.Status()
				worked++
				err = d.Close()
			} else if failed++; !errors.Is(err, unix.EMFILE) {
				err = fmt.Errorf("%v with %d descriptors to spare: %w", b, extra, err)
			} else {
				err = nil
			}
			if errors.Is(err, driver.ErrNoRing) && probe.Get().URing.State == probe.Unusable {
				err = nil // no number of descriptors makes one
			}
			if e := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); e != nil {
				return e
			}
			if err != nil {
				return err
			}
			if after := descriptors(); len(after) != len(before) {
				return fmt.Errorf("%v with %d descriptors to spare: %v before, %v after", b, extra, before, after)
			}
		}
	}
	if failed == 0 || worked == 0 {
		return fmt.Errorf("%d drivers could not be made, %d could", failed, worked)
	}
	return nil
}

// The default driver degrades when there are no descriptors, and says so.
func TestDefaultFailsWithoutDescriptors(t *testing.T) {
	plays(t, "default without descriptors", "EDDY_BACKEND=")
}

func init() {
	roles["default without descriptors"] = func() error {
		warmUp()
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		none := unix.Rlimit{Cur: 3, Max: limit.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
			return err
		}
		d := eddy.Default()
		s := d.Status()
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		if s.Backend != eddy.BackendPortable || len(s.Fallbacks) == 0 || !errors.Is(s.Fallbacks[0].Err, unix.EMFILE) {
			return fmt.Errorf("status: %v", s)
		}
		if _, err := d.ReadFile("/proc/version"); err != nil {
			return err
		}
		return d.Close()
	}
}
