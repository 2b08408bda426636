package driver_test

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

func TestOverflowOfCompletionQueueLosesNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		const n = 10_000
		r := newRig(t, driver.Config{Submit: mode, RingEntries: 8})
		rd, wr := pipe(t)
		ops := make([]driver.Op, n)
		var released atomic.Int64
		for i := range ops {
			ops[i].Entry.PrepPollAdd(rd, unix.POLLIN, false)
			ops[i].Hold = &hold{total: &released}
			r.register(&ops[i])
		}
		eventually(t, "the kernel has them all", func() bool { return r.Metrics().Submitted >= n })
		write(t, wr, []byte{1}) // completes them all at once
		for i := range ops {
			if res := r.result(&ops[i]); res&unix.POLLIN == 0 {
				t.Fatalf("request %d: %d", i, res)
			}
		}
		m := r.Metrics()
		if m.Overflows == 0 {
			t.Error("the queue has never overflowed: nothing was tested")
		}
		if released.Load() != n || m.Completed != n || m.InFlight != 0 {
			t.Errorf("%d released; %+v", released.Load(), m)
		}
	})
}

func TestFullQueueFromThousandGoroutinesLosesNothing(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		const goroutines, each = 1000, 20
		r := newRig(t, driver.Config{Submit: mode, RingEntries: 4})
		var all sync.WaitGroup
		start := make(chan bool)
		for range goroutines {
			all.Go(func() {
				<-start
				o := new(driver.Op)
				for range each {
					o.Entry.PrepNop()
					if res := r.do(o); res != 0 {
						t.Errorf("nop: %d", res)
					}
				}
			})
		}
		close(start)
		all.Wait()
		if m := r.Metrics(); m.Completed != goroutines*each || m.Submitted < goroutines*each {
			t.Errorf("%+v", m)
		}
	})
}

// storm sends SIGURG, which the Go runtime takes from anybody, to every thread
// of the process as fast as it can, until stop is called, and counts them.
func storm(t *testing.T) (sent *atomic.Int64, stop func()) {
	var ending atomic.Bool
	sent = new(atomic.Int64)
	done := make(chan bool)
	go func() {
		defer close(done)
		for !ending.Load() {
			entries, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Error(err)
				return
			}
			for range 20 {
				for _, e := range entries {
					tid := 0
					for _, c := range e.Name() {
						tid = tid*10 + int(c-'0')
					}
					if unix.Tgkill(unix.Getpid(), tid, unix.SIGURG) == nil {
						sent.Add(1)
					}
				}
				time.Sleep(20 * time.Microsecond)
			}
		}
	}()
	return sent, func() {
		ending.Store(true)
		<-done
	}
}

func TestSignalStormCausesNoErrors(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		sent, stop := storm(t)
		defer stop()
		const workers = 4
		var all sync.WaitGroup
		for w := range workers {
			rd, wr := pipe(t)
			all.Go(func() {
				o, buf := new(driver.Op), make([]byte, 8)
				for i := 0; sent.Load() < 5000; i++ {
					wrote := make(chan bool)
					go func() {
						defer close(wrote)
						time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
						write(t, wr, []byte{byte(i), byte(w)})
					}()
					prepRead(o, rd, buf)
					if w%2 == 0 {
						r.register(o)
					} else if _, err := r.HoldOp(200*time.Microsecond, o); err != nil {
						t.Errorf("HoldOp: %v", err)
						return
					}
					if res := r.result(o); res != 2 || buf[0] != byte(i) || buf[1] != byte(w) {
						t.Errorf("round %d: %d, %v", i, res, buf)
						return
					}
					<-wrote
				}
			})
		}
		all.Wait()
		r.settle()
		if m := r.Metrics(); m.Rejected != 0 {
			t.Errorf("%+v", m)
		}
	})
}
