package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/probe"
)

// eachRing is eachSetting for those that may have a ring.
func eachRing(t *testing.T, test func(t *testing.T, cfg eddy.Config)) {
	t.Helper()
	ran := 0
	for _, s := range settings(t) {
		if s.backend == "uring" || s.backend == "auto" {
			ran++
			t.Run(s.name, func(t *testing.T) {
				needRing(t, s)
				if u := probe.Get().URing; s.backend == "auto" && u.State == probe.Unusable {
					t.Skipf("SKIPPED: no io_uring here: %s", u.Reason)
				}
				checkLeaks(t)
				test(t, s.cfg)
			})
		}
	}
	if ran == 0 {
		t.Skip("SKIPPED: EDDY_BACKEND allows none with a ring")
	}
}

// isSwitchedOff checks what the driver says of itself after DisableRing.
func isSwitchedOff(t *testing.T, d *eddy.Driver) {
	t.Helper()
	s := d.Status()
	if s.Backend != eddy.BackendEpoll || s.Submit != driver.SubmitAuto {
		t.Errorf("the status is backend %v, submit mode %v", s.Backend, s.Submit)
	}
	rings := 0
	for _, f := range s.Fallbacks {
		if f.Wanted == "io_uring" {
			rings++
			if f.Reason != probe.ReasonForced || !strings.Contains(fmt.Sprint(f.Evidence), "DisableRing") || f.Err != nil {
				t.Errorf("the fallback is %+v", f)
			}
		}
	}
	if rings != 1 || !strings.Contains(s.String(), "no io_uring: switched-off") {
		t.Errorf("the status does not say once why there is no ring: %v", s)
	}
	if m := d.Metrics(); !m.RingDisabled || m.Saturated {
		t.Errorf("the metrics do not show it: %+v", m)
	}
}

// shifters are goroutines that write and read back blocks of their own, and
// read blocks that nobody writes, until they are stopped.
type shifters struct {
	t      *testing.T
	file   *eddy.File
	rounds [64]atomic.Int64
	stop   atomic.Bool
	wg     sync.WaitGroup
}

const (
	shifterBlocks = 4 // of each shifter
	stillBlocks   = 64
)

func startShifters(t *testing.T, d *eddy.Driver) *shifters {
	s := &shifters{t: t}
	s.file, _ = openDirect(t, d, blocks(len(s.rounds)*shifterBlocks+stillBlocks))
	for g := range s.rounds {
		s.wg.Go(func() {
			for !s.stop.Load() {
				if err := s.round(g); err != nil {
					t.Errorf("goroutine %d, round %d: %v", g, s.rounds[g].Load(), err)
					s.stop.Store(true)
				}
				s.rounds[g].Add(1)
			}
		})
	}
	return s
}

// round writes the goroutine's blocks in a new version and reads them back in
// every way there is.
func (s *shifters) round(g int) error {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	version := uint64(s.rounds[g].Load()) + 1
	first := uint64(g * shifterBlocks)
	p := aligned(shifterBlocks * blockSize)
	for i := range uint64(shifterBlocks) {
		makeBlock(p[i*blockSize:][:blockSize], first+i, version)
	}
	off := int64(first * blockSize)
	half := len(p) / 2
	ways := []func(p []byte, off int64) (int, error){
		s.file.WriteAt,
		func(p []byte, off int64) (int, error) { return s.file.WriteAtContext(ctx, p, off) },
		func(p []byte, off int64) (int, error) { return s.writeBatch(context.Background(), p, off) },
		func(p []byte, off int64) (int, error) { return s.writeBatch(ctx, p, off) },
	}
	for i := range 2 {
		way := (int(version)*2 + i) % len(ways)
		if n, err := ways[way](p[i*half:][:half], off+int64(i*half)); n != half || err != nil {
			return fmt.Errorf("way %d to write: %d, %w", way, n, err)
		}
	}
	for way, read := range []func(q []byte) (int, error){
		func(q []byte) (int, error) { return s.file.ReadAt(q, off) },
		func(q []byte) (int, error) { return s.file.ReadAtContext(ctx, q, off) },
		func(q []byte) (int, error) { return s.batch(context.Background(), q, off) },
		func(q []byte) (int, error) { return s.batch(ctx, q, off) },
	} {
		q := aligned(len(p))
		if n, err := read(q); n != len(q) || err != nil {
			return fmt.Errorf("way %d to read: %d, %w", way, n, err)
		}
		if string(p) != string(q) {
			return fmt.Errorf("way %d to read: not what was written", way)
		}
	}
	still := uint64(len(s.rounds)*shifterBlocks) + version%stillBlocks
	q := aligned(blockSize)
	if n, err := s.file.ReadAt(q, int64(still*blockSize)); n != len(q) || err != nil {
		return fmt.Errorf("ReadAt: %d, %w", n, err)
	}
	return checkBlock(q, still)
}

func (s *shifters) writeBatch(ctx context.Context, p []byte, off int64) (n int, err error) {
	var writes []eddy.BatchWrite
	for at := 0; at < len(p); at += blockSize {
		writes = append(writes, eddy.BatchWrite{Buf: p[at:][:blockSize], Off: off + int64(at)})
	}
	err = s.file.WriteBatch(ctx, writes)
	for _, w := range writes {
		n += w.N
	}
	return n, err
}

func (s *shifters) batch(ctx context.Context, q []byte, off int64) (n int, err error) {
	var reads []eddy.BatchRead
	for at := 0; at < len(q); at += blockSize {
		reads = append(reads, eddy.BatchRead{Buf: q[at:][:blockSize], Off: off + int64(at)})
	}
	err = s.file.ReadBatch(ctx, reads)
	for _, r := range reads {
		n += r.N
	}
	return n, err
}

// more waits until each of the goroutines has done some rounds more.
func (s *shifters) more(rounds int64) {
	s.t.Helper()
	var want [len(s.rounds)]int64
	for g := range want {
		want[g] = s.rounds[g].Load() + rounds
	}
	becomes(s.t, "each goroutine goes on", func() bool {
		if s.stop.Load() {
			s.t.Fatal("a goroutine has found an error")
		}
		for g := range want {
			if s.rounds[g].Load() < want[g] {
				return false
			}
		}
		return true
	})
}

func (s *shifters) end() {
	s.t.Helper()
	s.stop.Store(true)
	within(s.t, time.Minute, "a goroutine", s.wg.Wait)
}

func TestSwitchingTheRingOffLosesOperations(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		s := startShifters(t, d)
		defer s.end()
		s.more(2)
		if d.Metrics().Driver.Submitted == 0 {
			t.Fatal("nothing is on the ring: there is nothing to switch off")
		}
		var switches sync.WaitGroup
		for range 4 {
			switches.Go(d.DisableRing)
		}
		switches.Wait()
		isSwitchedOff(t, d)
		s.more(2) // each operation that had begun before has ended when these have
		before := d.Metrics()
		if before.Driver.InFlight != 0 || before.Driver.Strays != 0 {
			t.Errorf("%d requests are in flight on a ring that nobody uses, %d strays", before.Driver.InFlight, before.Driver.Strays)
		}
		s.more(3)
		after := d.Metrics()
		if after.Driver.Submitted != before.Driver.Submitted || after.Ring != before.Ring || after.Owned != before.Owned {
			t.Errorf("the ring is in use: %+v, then %+v", before, after)
		}
		if after.Direct <= before.Direct || after.Offloaded <= before.Offloaded {
			t.Errorf("nothing shows what is used instead: %+v, then %+v", before, after)
		}
		s.end()
		shutdown(t, d)
		if m := d.Metrics(); m.Leases != 0 || m.Driver.InFlight != 0 || m.Driver.Quarantined != 0 {
			t.Errorf("left behind: %+v", m)
		}
	})
}

// What is told apart here from the storm: each operation by itself, begun after
// DisableRing has returned.
func TestSwitchedOffRingIsUsedByLaterOperations(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		for _, used := range []bool{true, false} {
			d := newDriver(t, cfg)
			f, name := openDirect(t, d, blocks(8))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p, q := aligned(blockSize), aligned(blockSize)
			if used {
				if _, err := f.ReadAtContext(ctx, p, 0); err != nil {
					t.Fatal(err)
				}
			}
			d.DisableRing()
			d.DisableRing()
			before := d.Metrics()
			for what, call := range map[string]func() error{
				"ReadAt":         func() error { _, err := f.ReadAt(p, blockSize); return err },
				"ReadAtContext":  func() error { _, err := f.ReadAtContext(ctx, p, blockSize); return err },
				"WriteAt":        func() error { _, err := f.WriteAt(p, blockSize); return err },
				"WriteAtContext": func() error { _, err := f.WriteAtContext(ctx, p, blockSize); return err },
				"Sync":           f.Sync,
				"SyncContext":    func() error { return f.SyncContext(ctx) },
				"ReadBatch":      func() error { return f.ReadBatch(context.Background(), []eddy.BatchRead{{Buf: p}, {Buf: q}}) },
				"a batch with a context": func() error {
					return f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p}, {Buf: q}})
				},
				"WriteBatch": func() error {
					return f.WriteBatch(context.Background(), []eddy.BatchWrite{{Buf: p}, {Buf: q, Off: blockSize}})
				},
				"OpenFileContext": func() error {
					g, err := d.OpenFileContext(ctx, name, os.O_RDONLY, 0)
					return errors.Join(err, g.Close())
				},
				"ReadFile": func() error { _, err := d.ReadFile(name); return err },
			} {
				if err := call(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				after := d.Metrics()
				// Not Enters: the thread of a new ring goes to sleep when it gets to it.
				if after.Driver.Submitted != before.Driver.Submitted || after.Driver.Holds != before.Driver.Holds ||
					after.Ring != before.Ring || after.Owned != before.Owned {
					t.Fatalf("%s uses the ring: %+v, then %+v", what, before, after)
				}
			}
			isSwitchedOff(t, d)
			shutdown(t, d)
		}
	})
}

func TestRingIsMadeAfterItWasSwitchedOff(t *testing.T) {
	checkLeaks(t)
	d := newDriver(t, eddy.Config{})
	if d.Status().Backend == eddy.BackendPortable {
		t.Skip("SKIPPED: EDDY_BACKEND allows no ring")
	}
	shutdown(t, d)

	d = newDriver(t, eddy.Config{})
	d.DisableRing()
	f, _ := openDirect(t, d, blocks(4))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := f.ReadAtContext(ctx, aligned(blockSize), 0); err != nil {
		t.Error(err)
	}
	_ = d.Status() // which sets the ring up, as a rule
	for fd, what := range descriptors() {
		if strings.Contains(what, "io_uring") {
			t.Errorf("descriptor %s is a ring", fd)
		}
	}
	shutdown(t, d)
}

// A request that the kernel has at the switch is answered as if there had been
// none, however late that is.
func TestRequestPendingAtTheSwitchIsLost(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		dir := t.TempDir()
		open := func(ctx context.Context, name string) chan error {
			done := make(chan error, 1)
			go func() {
				f, err := d.OpenFileContext(ctx, name, os.O_RDONLY, 0)
				if err == nil {
					err = readsHello(f)
				}
				done <- err
			}()
			return done
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		names := [3]string{filepath.Join(dir, "met"), filepath.Join(dir, "left"), filepath.Join(dir, "late")}
		for _, name := range names {
			if err := unix.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		left, leave := context.WithCancel(ctx)
		met := open(ctx, names[0])
		gone := open(left, names[1])
		becomes(t, "both opens are with the kernel", func() bool { return d.Metrics().Driver.InFlight == 2 })
		d.DisableRing()
		isSwitchedOff(t, d)
		late := open(ctx, names[2])
		becomes(t, "the third open is under way", func() bool { return d.Metrics().Offloaded > 0 })
		if n := d.Metrics().Driver.InFlight; n != 2 {
			t.Errorf("%d requests are in flight, 2 were before the switch", n)
		}
		select {
		case err := <-met:
			t.Fatalf("the pending open has ended at the switch: %v", err)
		case err := <-gone:
			t.Fatalf("the pending open has ended at the switch: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the open that was left: %v", err)
		}
		for name, done := range map[string]chan error{names[0]: met, names[2]: late} {
			if err := saysHello(name); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("%s: %v", filepath.Base(name), err)
			}
		}
		becomes(t, "the ring is idle", func() bool { return d.Metrics().Driver.InFlight == 0 })
		shutdown(t, d)
	})
}

const hello = "hello from the other end"

// readsHello reads from a FIFO what comes only after a while.
func readsHello(f *eddy.File) error {
	p := make([]byte, 100)
	err := f.SetReadDeadline(time.Now().Add(time.Minute)) // a read that may have to be left
	n := 0
	for err == nil && n < len(hello) {
		var m int
		m, err = f.Read(p[n:])
		n += m
	}
	if err == nil && string(p[:n]) != hello {
		err = fmt.Errorf("read %q", p[:n])
	}
	return errors.Join(err, f.Close())
}

// saysHello is the other end.
func saysHello(name string) error {
	w, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond)
	_, err = w.WriteString(hello)
	return errors.Join(err, w.Close())
}

// Shutdown after the switch, or beside it, takes back what is still pending.
func TestShutdownForgetsARingThatWasSwitchedOff(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		for _, together := range []bool{false, true} {
			d := newDriver(t, cfg)
			name := filepath.Join(t.TempDir(), "fifo")
			if err := unix.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := d.OpenFileContext(ctx, name, os.O_RDONLY, 0)
				done <- err
			}()
			becomes(t, "the open is with the kernel", func() bool { return d.Metrics().Driver.InFlight == 1 })
			var wg sync.WaitGroup
			if together {
				wg.Go(d.DisableRing)
			} else {
				d.DisableRing()
			}
			shutdown(t, d)
			wg.Wait()
			if err := <-done; !errors.Is(err, eddy.ErrShutdown) {
				t.Errorf("the pending open: %v", err)
			}
			if m := d.Metrics(); m.Driver.InFlight != 0 || m.Driver.Quarantined != 0 {
				t.Errorf("left behind: %+v", m)
			}
			d.DisableRing() // too late, and harmless
		}
	})
}

func TestSwitchChangesADriverWithoutRing(t *testing.T) {
	for _, b := range []eddy.Backend{eddy.BackendEpoll, eddy.BackendPortable} {
		checkLeaks(t)
		d := newDriver(t, eddy.Config{Backend: b})
		before := d.Status().String()
		d.DisableRing()
		if after := d.Status().String(); after != before || d.Metrics().RingDisabled {
			t.Errorf("%v: %s, then %s, %+v", b, before, after, d.Metrics())
		}
		shutdown(t, d)
	}
}
