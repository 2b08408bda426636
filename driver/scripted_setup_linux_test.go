package driver_test

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// lastErrno is EHWPOISON, the last there is.
const lastErrno = 133

// failing lets a ring's set-up fail, with one errno at one step of it.
type failing struct {
	t     *testing.T
	errno syscall.Errno
	step  string // "set-up", "probe", "enter", "watch"; "" if it works
	made  []*fakeKernel
}

func (f *failing) open(entries uint32, _ uring.Config) (driver.Kernel, error) {
	if f.step == "set-up" {
		return nil, &uring.SetupError{Op: "io_uring_setup", Entries: entries, Err: f.errno}
	}
	k := newFake(f.t, int(entries))
	f.made = append(f.made, k)
	switch f.step {
	case "probe":
		k.unknown = f.errno
	case "enter":
		k.plan(reply{err: f.errno})
	case "watch":
		k.fd = -1 // epoll_ctl(2) says EBADF
	}
	return k, nil
}

// closed wants every ring that was made closed.
func (f *failing) closed() {
	f.t.Helper()
	for i, k := range f.made {
		if !k.closed {
			f.t.Errorf("%v at %s: ring %d of %d was not closed", f.errno, f.step, i+1, len(f.made))
		}
	}
}

// TestSetUpThatFailsIsARecordedReasonWhateverTheErrno lets each step of a set-up
// fail with each errno.
func TestSetUpThatFailsIsARecordedReasonWhateverTheErrno(t *testing.T) {
	leaktest.Check(t)
	for _, mode := range bothModes {
		for _, step := range []string{"set-up", "probe"} {
			for errno := syscall.Errno(1); errno <= lastErrno; errno++ {
				setUpFails(t, mode, step, errno)
			}
		}
	}
	setUpFails(t, driver.SubmitShared, "watch", unix.EBADF)
}

func setUpFails(t *testing.T, mode driver.SubmitMode, step string, errno syscall.Errno) {
	t.Helper()
	f := &failing{t: t, errno: errno, step: step}
	d, err := driver.NewOpening(driver.Config{Submit: mode}, f.open)
	if err != nil {
		t.Fatal(err)
	}
	h := d.Handle()
	if ok, err := h.CheckAndInit(uring.OpNop); ok || err != nil {
		t.Errorf("%v, %v at %s: CheckAndInit says %v, %v", mode, errno, step, ok, err)
	}
	_, state, _ := probe.Explain(errno)
	want := driver.StateUnsupported
	if state == probe.Unknown {
		want = driver.StateUninitialized
	}
	if got := h.State(); got != want {
		t.Errorf("%v, %v at %s: the state is %v, want %v", mode, errno, step, got, want)
	}
	list := h.Fallbacks()
	if len(list) != 1 || list[0].Wanted != "io_uring" || !errors.Is(list[0].Err, errno) || len(list[0].Evidence) == 0 {
		t.Errorf("%v, %v at %s: the fallbacks are %+v", mode, errno, step, list)
	}
	if err := h.RegisterOp(nop(1)); !errors.Is(err, driver.ErrNoRing) {
		t.Errorf("%v, %v at %s: RegisterOp: %v", mode, errno, step, err)
	}
	f.closed()
	if errno == unix.ENOMEM { // one that passes, for all of those: the driver waits before it asks again
		f.step = ""
		eventually(t, "a ring is set up after all", func() bool {
			if _, err := h.CheckAndInit(uring.OpNop); err != nil {
				t.Fatal(err)
			}
			return h.State() == driver.StateInitialized
		})
		if list := h.Fallbacks(); len(list) != 0 {
			t.Errorf("%v, %v at %s: fallbacks of a driver with a ring: %+v", mode, errno, step, list)
		}
	}
	if err := d.Shutdown(context.Background()); err != nil {
		t.Errorf("%v, %v at %s: Shutdown: %v", mode, errno, step, err)
	}
	f.closed()
}

// TestThreadThatIsRefusedIsReplacedByCallersThatSubmit lets the first ring fail
// and the second one work, as on a kernel without the flags.
func TestThreadThatIsRefusedIsReplacedByCallersThatSubmit(t *testing.T) {
	leaktest.Check(t)
	for _, step := range []string{"set-up", "probe", "enter"} {
		f := &failing{t: t, errno: unix.EINVAL, step: step}
		d, err := driver.NewOpening(driver.Config{Submit: driver.SubmitThread}, func(entries uint32, cfg uring.Config) (driver.Kernel, error) {
			k, err := f.open(entries, cfg)
			f.step = ""
			return k, err
		})
		if err != nil {
			t.Fatal(err)
		}
		h := d.Handle()
		if _, err := h.CheckAndInit(uring.OpNop); err != nil || h.State() != driver.StateInitialized || h.SubmitMode() != driver.SubmitShared {
			t.Errorf("%s: %v, %v, %v", step, err, h.State(), h.SubmitMode())
		}
		list := h.Fallbacks()
		if len(list) != 1 || list[0].Wanted != "submit thread" || !errors.Is(list[0].Err, unix.EINVAL) {
			t.Errorf("%s: the fallbacks are %+v", step, list)
		}
		if err := d.Shutdown(context.Background()); err != nil {
			t.Errorf("%s: Shutdown: %v", step, err)
		}
		f.closed()
	}
}
