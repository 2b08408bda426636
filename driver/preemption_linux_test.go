package driver_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/uring"
)

// undisturbed counts the threads that block SIGURG but not SIGTERM. (One that is
// being made, or makes one, blocks all there are for a moment; the kernel's
// workers always do.)
func undisturbed(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d threads: %v", len(files), err)
	}
	n := 0
	for _, file := range files {
		text, _ := os.ReadFile(file) // "" if it has ended by now
		_, mask, _ := strings.Cut(string(text), "SigBlk:")
		mask, _, _ = strings.Cut(strings.TrimSpace(mask), "\n")
		blocked, _ := strconv.ParseUint(mask, 16, 64)
		if blocked>>(unix.SIGURG-1)&1 == 1 && blocked>>(unix.SIGTERM-1)&1 == 0 {
			n++
		}
	}
	return n
}

// The thread that submits must have no signal pending when the kernel makes a
// worker in its name; and whoever has the thread afterwards wants its signals.
func TestPreemptionDisturbsTheSubmitThread(t *testing.T) {
	leaktest.Check(t)
	before := undisturbed(t)
	r := newRig(t, driver.Config{Submit: driver.SubmitThread})
	if n := undisturbed(t) - before; n != 1 {
		t.Errorf("%d threads are kept from SIGURG, want the one that submits", n)
	}
	if err := r.shutdown(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the thread has its signals back", func() bool { return undisturbed(t) == before })
}

// A kernel that gives up making workers leaves requests behind that nobody works
// on: here the writes that the workers there are wait for.
func TestSignalsKeepTheKernelFromMakingWorkers(t *testing.T) {
	leaktest.Check(t)
	const n = 100
	r := newRig(t, driver.Config{Submit: driver.SubmitThread, RingEntries: 8})
	_, stop := storm(t)
	defer stop()
	for range scale(50) {
		from, to := pipe(t)
		var ops [2 * n]driver.Op
		for i := range ops {
			o, p := &ops[i], []byte{1}
			if o.OwnBytes(p); i < n {
				o.Entry.PrepRead(from, p, uring.CurrentPosition)
			} else {
				o.Entry.PrepWrite(to, p, uring.CurrentPosition)
			}
			r.register(o)
		}
		for i := range ops {
			if res := r.result(&ops[i]); res != 1 {
				t.Fatalf("request %d: %d", i, res)
			}
		}
	}
}
