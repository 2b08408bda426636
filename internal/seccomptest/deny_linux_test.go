package seccomptest_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/eddyio/eddy/internal/seccomptest"
	"golang.org/x/sys/unix"
)

const childVariable = "EDDY_SECCOMPTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := child(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("denied everywhere")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child denies two calls on four running threads at once, and looks on each.
func child() error {
	if _, err := unix.Getsid(0); err != nil {
		return fmt.Errorf("before the filter: %w", err)
	}
	errs := make([]error, 4)
	var started, denied sync.WaitGroup
	started.Add(len(errs))
	denied.Add(1)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() {
			runtime.LockOSThread()
			started.Done()
			denied.Wait()
			if _, err := unix.Getsid(0); err != unix.EXDEV {
				errs[i] = fmt.Errorf("thread %d: getsid: %v, want EXDEV", i, err)
			}
			if _, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != unix.EXDEV {
				errs[i] = fmt.Errorf("thread %d: getpriority: %v, want EXDEV", i, err)
			}
			if _, err := unix.Getpgid(0); err != nil {
				errs[i] = fmt.Errorf("thread %d: getpgid, which is allowed: %v", i, err)
			}
		})
	}
	started.Wait()
	if err := seccomptest.Deny(unix.EXDEV, unix.SYS_GETSID, unix.SYS_GETPRIORITY); err != nil {
		return err
	}
	denied.Done()
	done.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := seccomptest.Deny(unix.ENOSYS, unix.SYS_GETSID); err != nil {
		return err
	}
	if _, err := unix.Getsid(0); err != unix.ENOSYS {
		return fmt.Errorf("getsid after the second filter: %v, want ENOSYS", err)
	}
	return nil
}

func TestFilterMissesNoThreadAndNothingElse(t *testing.T) {
	if !seccomptest.Supported() {
		t.Skip("SKIPPED: no seccomp here")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "denied everywhere" {
		t.Errorf("child: %v\n%s", err, out)
	}
}
