package poll_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy/internal/seccomptest"
	"github.com/eddyio/eddy/poll"
	"golang.org/x/sys/unix"
)

const childVariable = "EDDY_POLL_CHILD"

func TestMain(m *testing.M) {
	if errno := os.Getenv(childVariable); errno != "" {
		if err := waitWithoutPwait2(errno); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// waitsInEpoll reads the number and arguments of the system call that a thread is
// blocked in, /proc/pid/task/tid/syscall, and reports whether it is a Poll: the
// runtime's own poller asks for 128 events.
func waitsInEpoll(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false // the thread is gone
	}
	call := strings.Fields(string(text))
	if len(call) < 4 || call[3] == "0x80" {
		return false
	}
	return call[0] == strconv.Itoa(unix.SYS_EPOLL_PWAIT) || call[0] == strconv.Itoa(unix.SYS_EPOLL_PWAIT2)
}

// TestTimeoutIsNeverCutShort waits for many odd durations, with and without
// epoll_pwait2.
func TestTimeoutIsNeverCutShort(t *testing.T) {
	for _, millis := range []bool{false, true} {
		p := newPoll(t)
		if millis {
			p.ForceMillis()
		}
		found := poll.NewEvents(1)
		for _, timeout := range []time.Duration{
			1, 999, time.Microsecond, 100 * time.Microsecond, 999_999, time.Millisecond,
			time.Millisecond + 1, 1500 * time.Microsecond, 3*time.Millisecond - 1, 7_777_777,
		} {
			start := time.Now()
			if err := p.Poll(found, timeout); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < timeout {
				t.Errorf("millis %v: a timeout of %v took %v", millis, timeout, took)
			}
		}
	}
}

func TestMillisecondsAreRoundedUpAndBounded(t *testing.T) {
	for timeout, want := range map[time.Duration]int32{
		1:                                1,
		time.Millisecond:                 1,
		time.Millisecond + 1:             2,
		2*time.Millisecond - 1:           2,
		math.MaxInt32 * time.Millisecond: math.MaxInt32,
		math.MaxInt64:                    math.MaxInt32,
	} {
		if got := poll.MillisUp(timeout); got != want {
			t.Errorf("%v is %d ms, want %d", timeout, got, want)
		}
	}
}

func TestLongestTimeoutStillWaits(t *testing.T) {
	for _, millis := range []bool{false, true} {
		p := newPoll(t)
		if millis {
			p.ForceMillis()
		}
		w := newWaker(t, p, 1)
		start := time.Now()
		time.AfterFunc(20*time.Millisecond, func() { w.Wake() })
		expectWithin(t, p, math.MaxInt64, poll.Event{Token: 1, Ready: poll.ReadyReadable})
		if took := time.Since(start); took < 20*time.Millisecond {
			t.Errorf("millis %v: woken after %v, before the wake-up", millis, took)
		}
	}
}

func expectWithin(t *testing.T, p *poll.Poll, timeout time.Duration, want poll.Event) {
	t.Helper()
	if got := events(t, p, timeout); len(got) != 1 || got[0] != want {
		t.Errorf("events are %v, want %v", got, want)
	}
}

// TestSignalsNeitherCutNorStretchTimeout bombards the waiting thread with a
// signal every millisecond. Cut: an EINTR taken for the end. Stretched: the whole
// timeout started anew after each, which would never end.
func TestSignalsNeitherCutNorStretchTimeout(t *testing.T) {
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, unix.SIGUSR1)
	defer signal.Stop(arrived)
	for _, millis := range []bool{false, true} {
		p := newPoll(t)
		if millis {
			p.ForceMillis()
		}
		const timeout = 100 * time.Millisecond
		var stop atomic.Bool
		thread := make(chan int)
		type outcome struct {
			took time.Duration
			err  error
		}
		done := make(chan outcome)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			thread <- unix.Gettid()
			start := time.Now()
			err := p.Poll(poll.NewEvents(1), timeout)
			done <- outcome{time.Since(start), err}
		}()
		tid := <-thread
		sent := make(chan int)
		go func() {
			n := 0
			for ; !stop.Load(); n++ {
				unix.Tgkill(unix.Getpid(), tid, unix.SIGUSR1)
				time.Sleep(time.Millisecond)
			}
			sent <- n
		}()
		select {
		case o := <-done:
			if o.err != nil {
				t.Errorf("millis %v: %v", millis, o.err)
			}
			if o.took < timeout {
				t.Errorf("millis %v: took %v of %v", millis, o.took, timeout)
			}
		case <-time.After(patience):
			t.Fatalf("millis %v: a timeout of %v has not ended after %v", millis, timeout, patience)
		}
		stop.Store(true)
		// Some 90, but on a machine that is too busy, or emulated.
		if n := <-sent; n == 0 {
			t.Errorf("millis %v: no signal sent: the test tests nothing", millis)
		}
	}
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Error("no signal arrived: the test tests nothing")
	}
}

// TestSignalsDoNotEndAWaitWithoutTimeout: the same for Poll(-1).
func TestSignalsDoNotEndAWaitWithoutTimeout(t *testing.T) {
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, unix.SIGUSR1)
	defer signal.Stop(arrived)
	p := newPoll(t)
	w := newWaker(t, p, 9)
	thread := make(chan int)
	done := make(chan error)
	found := poll.NewEvents(1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		done <- p.Poll(found, -1)
	}()
	tid := <-thread
	for range 30 {
		unix.Tgkill(unix.Getpid(), tid, unix.SIGUSR1)
		select {
		case err := <-done:
			t.Fatalf("a signal ended the wait: %d events, %v", found.Len(), err)
		case <-time.After(time.Millisecond):
		}
	}
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || found.Len() != 1 {
		t.Errorf("%d events, %v", found.Len(), err)
	}
}

// TestKernelWithoutPwait2 runs a child in which epoll_pwait2 fails as on a kernel
// that lacks it, and as under a filter that is older than the call.
func TestKernelWithoutPwait2(t *testing.T) {
	if !seccomptest.Supported() {
		t.Skip("SKIPPED: no seccomp here")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, errno := range []string{"ENOSYS", "EPERM"} {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childVariable+"="+errno, "GORACE=atexit_sleep_ms=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", errno, err, out)
		}
	}
}

// waitWithoutPwait2 is the child of TestKernelWithoutPwait2.
func waitWithoutPwait2(errno string) error {
	code := map[string]unix.Errno{"ENOSYS": unix.ENOSYS, "EPERM": unix.EPERM}[errno]
	if err := seccomptest.Deny(code, unix.SYS_EPOLL_PWAIT2); err != nil {
		return err
	}
	p, err := poll.New()
	if err != nil {
		return err
	}
	w, err := poll.NewWaker(p.Registry(), 1)
	if err != nil {
		return err
	}
	found := poll.NewEvents(1)
	const timeout = 1_500_000 * time.Nanosecond
	start := time.Now()
	if err := p.Poll(found, timeout); err != nil || found.Len() != 0 {
		return fmt.Errorf("idle: %d events, %v", found.Len(), err)
	}
	if took := time.Since(start); took < timeout {
		return fmt.Errorf("a timeout of %v took %v", timeout, took)
	}
	if !p.Millis() {
		return fmt.Errorf("the filter did not bite")
	}
	w.Wake()
	if err := p.Poll(found, time.Minute); err != nil || found.Len() != 1 {
		return fmt.Errorf("woken: %d events, %v", found.Len(), err)
	}
	return nil
}
