package driver_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// children are what this binary does instead of testing when it is started by
// one of its own tests, see runChild.
var children = map[string]func() error{}

const childVariable = "EDDY_DRIVER_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("child is fine")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must happen. A process that is
// stopped meanwhile is not given up on: see arrives.
const patience = 20 * time.Second

// arrives waits until the channel has something or is closed, for the patience.
// It counts short waits, of which a process that is stopped for long, or a
// machine that sleeps, uses up one.
func arrives[T any](c <-chan T) bool {
	const step = 20 * time.Millisecond
	for range patience / step {
		select {
		case <-c:
			return true
		case <-time.After(step):
		}
	}
	return false
}

// scale is a number of rounds: all of them, or a tenth where each is slow.
func scale(n int) int {
	if testing.Short() || raceEnabled {
		return max(n/10, 1)
	}
	return n
}

// bothModes are the ways to submit.
var bothModes = []driver.SubmitMode{driver.SubmitShared, driver.SubmitThread}

// eachMode runs the test in every submit mode, with the leak check around it.
func eachMode(t *testing.T, test func(t *testing.T, mode driver.SubmitMode)) {
	t.Helper()
	for _, mode := range bothModes {
		t.Run(mode.String(), func(t *testing.T) {
			leaktest.Check(t)
			test(t, mode)
		})
	}
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	waited := time.Duration(0)
	for pause := 10 * time.Microsecond; !condition(); pause = min(2*pause, 5*time.Millisecond) {
		if waited += pause; waited > patience {
			t.Fatalf("it never happened that %s", what)
		}
		time.Sleep(pause)
	}
}

// rig is a driver that is turned by a goroutine, until the test is over.
type rig struct {
	*driver.Handle
	driver *driver.Driver
	t      testing.TB
	ending atomic.Bool
	ended  chan error
}

// available are the ways to submit that this kernel has.
func available() []driver.SubmitMode {
	u := probe.Get().URing
	switch {
	case u.State == probe.Unusable:
		return nil
	case !u.SetupFlags["defer_taskrun"]: // Linux 6.1
		return []driver.SubmitMode{driver.SubmitShared}
	}
	return bothModes
}

// needMode skips a test that needs a real ring, in this mode, where there is
// none.
func needMode(t testing.TB, mode driver.SubmitMode) {
	t.Helper()
	modes := available()
	switch {
	case len(modes) == 0:
		t.Skipf("SKIPPED: no io_uring here: %s", probe.Get().URing.Reason)
	case mode != driver.SubmitAuto && !slices.Contains(modes, mode):
		t.Skipf("SKIPPED: this kernel has no ring for mode %v", mode)
	}
}

// newRig makes a driver with a real ring in the mode that was asked for.
func newRig(t testing.TB, cfg driver.Config) *rig {
	t.Helper()
	needMode(t, cfg.Submit)
	d, err := driver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ok, err := d.Handle().CheckAndInit(uring.OpNop)
	if err != nil || !ok {
		t.Fatalf("no ring: %v, %v, %+v", ok, err, d.Handle().Fallbacks())
	}
	if got := d.Handle().SubmitMode(); cfg.Submit != driver.SubmitAuto && got != cfg.Submit {
		t.Fatalf("the mode is %v: %+v", got, d.Handle().Fallbacks())
	}
	return turned(t, d)
}

// newFakeRig makes a driver on a scripted kernel.
func newFakeRig(t testing.TB, cfg driver.Config, f *fakeKernel) *rig {
	t.Helper()
	d, err := driver.NewScripted(cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	return turned(t, d)
}

func turned(t testing.TB, d *driver.Driver) *rig {
	r := &rig{Handle: d.Handle(), driver: d, t: t, ended: make(chan error, 1)}
	go func() {
		for !r.ending.Load() {
			if err := d.Park(); err != nil {
				r.ended <- err
				return
			}
		}
		r.ended <- nil
	}()
	t.Cleanup(r.finish)
	return r
}

// stop ends the turning. It may be called again.
func (r *rig) stop() {
	r.t.Helper()
	if r.ending.Swap(true) {
		return
	}
	if err := r.Unpark(); err != nil {
		r.t.Errorf("Unpark: %v", err)
	}
	if err := <-r.ended; err != nil {
		r.t.Errorf("Park: %v", err)
	}
}

// shutdown ends the driver, which must succeed within the patience.
func (r *rig) shutdown() error {
	r.t.Helper()
	r.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	return r.driver.Shutdown(ctx)
}

// finish ends a test: everything must come back.
func (r *rig) finish() {
	r.t.Helper()
	if err := r.shutdown(); err != nil {
		r.t.Errorf("Shutdown: %v", err)
	}
	m := r.Metrics()
	if m.InFlight != m.Quarantined || m.Strays != 0 {
		r.t.Errorf("after Shutdown %d requests are in flight, %d strays, %d in quarantine", m.InFlight, m.Strays, m.Quarantined)
	}
}

// register must succeed.
func (r *rig) register(o *driver.Op) {
	r.t.Helper()
	if err := r.RegisterOp(o); err != nil {
		r.t.Fatalf("RegisterOp: %v", err)
	}
}

// do runs a request to its end.
func (r *rig) do(o *driver.Op) int32 {
	r.t.Helper()
	r.register(o)
	return r.result(o)
}

// result waits for the request, but not for ever.
func (r *rig) result(o *driver.Op) int32 {
	r.t.Helper()
	if o.Park() && !arrives(o.Done()) {
		r.t.Fatalf("the request was never completed; %+v", r.Metrics())
	}
	res, _ := o.Result()
	return res
}

// hold is a resource that counts how often it was released.
type hold struct {
	released atomic.Int32
	total    *atomic.Int64 // of all, may be nil
}

func (h *hold) Release() {
	h.released.Add(1)
	if h.total != nil {
		h.total.Add(1)
	}
}

// prepRead makes the request a read at the current position.
func prepRead(o *driver.Op, fd int, p []byte) *driver.Op {
	o.Entry.PrepRead(fd, p, uring.CurrentPosition)
	o.OwnBytes(p)
	return o
}

// nop is a request that a real kernel completes at once, with a name for a
// scripted one.
func nop(name uint64) *driver.Op {
	o := &driver.Op{Name: fmt.Sprint("request ", name)}
	o.Entry.PrepNop()
	o.Entry.Off = name
	return o
}

// pipe makes a pipe that the test's end closes.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func write(t testing.TB, fd int, p []byte) {
	t.Helper()
	n, err := unix.Write(fd, p)
	for err == unix.EINTR {
		n, err = unix.Write(fd, p)
	}
	if n != len(p) || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
}
