package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

func TestDriverWorksAfterShutdown(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, pattern(5000))
		f := open(t, d, name, os.O_RDWR)
		std, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer std.Close()
		shutdown(t, d)
		p := make([]byte, 100)
		for what, call := range map[string]func() error{
			"Open":            func() error { _, err := d.Open(name); return err },
			"Create":          func() error { _, err := d.Create(name); return err },
			"OpenFile":        func() error { _, err := d.OpenFile(name, os.O_RDWR, 0); return err },
			"ReadFile":        func() error { _, err := d.ReadFile(name); return err },
			"WriteFile":       func() error { return d.WriteFile(name, nil, 0) },
			"AdoptFile":       func() error { _, err := d.AdoptFile(std); return err },
			"Register":        func() error { _, err := d.Register(0, 1); return err },
			"Signals":         func() error { _, err := d.Signals(os.Interrupt); return err },
			"Read":            func() error { _, err := f.Read(p); return err },
			"ReadAt":          func() error { _, err := f.ReadAt(p, 0); return err },
			"ReadAtContext":   func() error { _, err := f.ReadAtContext(t.Context(), p, 0); return err },
			"ReadBatch":       func() error { return f.ReadBatch(context.Background(), []eddy.BatchRead{{Buf: p}}) },
			"Write":           func() error { _, err := f.Write(p); return err },
			"WriteAt":         func() error { _, err := f.WriteAt(p, 0); return err },
			"WriteBatch":      func() error { return f.WriteBatch(context.Background(), []eddy.BatchWrite{{Buf: p}}) },
			"Sync":            f.Sync,
			"Seek":            func() error { _, err := f.Seek(0, 0); return err },
			"Stat":            func() error { _, err := f.Stat(); return err },
			"Truncate":        func() error { return f.Truncate(0) },
			"ReadFrom":        func() error { _, err := f.ReadFrom(strings.NewReader("x")); return err },
			"WriteTo":         func() error { _, err := f.WriteTo(new(strings.Builder)); return err },
			"SetReadDeadline": func() error { return f.SetReadDeadline(time.Now()) },
		} {
			if err := call(); !errors.Is(err, eddy.ErrShutdown) {
				t.Errorf("%s after Shutdown: %v", what, err)
			}
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != string(pattern(5000)) {
			t.Errorf("the file has changed: %d bytes, %v", len(data), err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("a file that was open at Shutdown cannot be closed: %v", err)
		}
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
		// Neither is worth an error, nor a panic.
		if err := d.Shutdown(t.Context()); err != nil {
			t.Errorf("a second Shutdown: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close after Shutdown: %v", err)
		}
		_ = d.Status().String()
		_ = d.Metrics()
	})
}

func TestShutdownDuringAStormPanicsOrHangs(t *testing.T) {
	rounds, content := 15, pattern(64<<10)
	if testing.Short() {
		rounds = 8
	}
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		for round := range rounds {
			d := newDriver(t, cfg)
			f := open(t, d, tempFile(t, content), os.O_RDWR)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var refused atomic.Int32
			for g := range 32 {
				wg.Go(func() {
					p := make([]byte, 4096)
					off := int64(g%16) * 4096
					for {
						var err error
						switch g % 5 {
						case 0:
							_, err = f.ReadAt(p, off)
						case 1:
							_, err = f.ReadAtContext(ctx, p, off)
						case 2:
							err = f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p[:100], Off: off}, {Buf: p[100:], Off: off + 100}})
						case 3:
							_, err = f.WriteAtContext(ctx, content[off:off+4096], off)
						default:
							_, err = f.Read(p)
							if err == nil || !errors.Is(err, eddy.ErrShutdown) {
								_, err = f.Seek(0, 0)
							}
						}
						if err == nil {
							continue
						}
						if !errors.Is(err, eddy.ErrShutdown) {
							t.Errorf("way %d: %v", g%5, err)
						}
						refused.Add(1)
						return
					}
				})
			}
			time.Sleep(time.Duration(round) * 200 * time.Microsecond)
			shutdown(t, d)
			within(t, 10*time.Second, "the storm after Shutdown", wg.Wait)
			cancel()
			if refused.Load() != 32 {
				t.Errorf("%d of 32 were refused", refused.Load())
			}
			if m := d.Metrics(); m.Leases != 0 || m.Driver.InFlight != 0 {
				t.Errorf("round %d: %d leases, %d in flight after Shutdown", round, m.Leases, m.Driver.InFlight)
			}
			if data, err := os.ReadFile(f.Name()); err != nil || string(data) != string(content) {
				t.Errorf("wrong content: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestConcurrentShutdownsDisagree(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		for range 20 {
			d := newDriver(t, cfg)
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					var err error
					if i%2 == 0 {
						err = d.Close()
					} else {
						err = d.Shutdown(t.Context())
					}
					if err != nil {
						t.Error(err)
					}
					if _, err := d.Open("/dev/null"); !errors.Is(err, eddy.ErrShutdown) {
						t.Errorf("open after Shutdown has returned: %v", err)
					}
				})
			}
			within(t, 10*time.Second, "Shutdown", wg.Wait)
		}
	})
}

// A context that has ended leaves no time to wait, not no shutdown.
func TestShutdownWithEndedContextLeaks(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 10 {
			d := newDriver(t, cfg)
			f := open(t, d, tempFile(t, pattern(100)), os.O_RDONLY)
			if _, err := f.ReadAt(make([]byte, 10), 0); err != nil {
				t.Fatal(err)
			}
			if err := d.Shutdown(ended); err != nil {
				t.Errorf("an idle driver: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestDefaultStaysDeadAfterShutdown(t *testing.T) {
	checkLeaks(t)
	first := eddy.Default()
	if eddy.Default() != first {
		t.Error("two defaults at once")
	}
	name := tempFile(t, pattern(3000))
	for range 3 {
		data, err := eddy.ReadFile(name)
		if err != nil || string(data) != string(pattern(3000)) {
			t.Errorf("ReadFile: %d bytes, %v", len(data), err)
		}
		d := eddy.Default()
		shutdown(t, d)
		if eddy.Default() == d {
			t.Error("Default is one that was shut down")
		}
	}
	shutdown(t, eddy.Default())
}

func TestConcurrentDefaultMakesTwo(t *testing.T) {
	checkLeaks(t)
	shutdown(t, eddy.Default())
	var wg sync.WaitGroup
	got := make([]*eddy.Driver, 16)
	for i := range got {
		wg.Go(func() { got[i] = eddy.Default() })
	}
	wg.Wait()
	for _, d := range got {
		if d != got[0] {
			t.Error("two defaults")
		}
	}
	shutdown(t, got[0])
}

func TestDefaultFailsOnJunkInTheEnvironment(t *testing.T) {
	checkLeaks(t)
	shutdown(t, eddy.Default())
	t.Setenv("EDDY_BACKEND", "floppy")
	d := eddy.Default()
	name := tempFile(t, pattern(3000))
	if data, err := eddy.ReadFile(name); err != nil || string(data) != string(pattern(3000)) {
		t.Errorf("ReadFile: %d bytes, %v", len(data), err)
	}
	s := d.Status()
	if s.Backend != eddy.BackendPortable || len(s.Fallbacks) == 0 || !strings.Contains(s.String(), "floppy") {
		t.Errorf("the status does not say what happened: %v", s)
	}
	shutdown(t, d)
}
