package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
)

// isNonblocking reports whether O_NONBLOCK is set.
func isNonblocking(t *testing.T, fd uintptr) bool {
	t.Helper()
	flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}

// Fd of os.File is blocking, however the file is used otherwise.
func TestFdIsNonblockingAfterOpenWithContext(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, name := range []string{makeFIFO(t), "/dev/ptmx", "/dev/null", "/dev/zero"} {
			for _, flag := range []int{os.O_RDWR, os.O_RDWR | unix.O_NONBLOCK} {
				std, err := os.OpenFile(name, flag, 0)
				if errors.Is(err, fs.ErrNotExist) {
					continue // no pseudoterminals here
				}
				if err != nil {
					t.Fatal(err)
				}
				want := isNonblocking(t, std.Fd())
				std.Close()
				ctx, cancel := context.WithCancel(context.Background())
				f, err := d.OpenFileContext(ctx, name, flag, 0)
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				if got := isNonblocking(t, f.Fd()); got != want {
					t.Errorf("%s, flags %#x: non-blocking after Fd is %v, but %v for os.OpenFile", name, flag, got, want)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// After Fd a read of a FIFO waits in the kernel, and Close does not wait for it.
func TestCloseAfterFdWaitsForReaders(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := makeFIFO(t)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		f, err := d.OpenFileContext(ctx, name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		f.Fd()
		got := make(chan string, 1)
		go func() {
			p := make([]byte, 8)
			n, _ := f.Read(p)
			got <- string(p[:n])
		}()
		time.Sleep(20 * time.Millisecond)
		within(t, patience, "Close", func() {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
		if _, err := w.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		within(t, patience, "the read", func() {
			if s := <-got; s != "late" {
				t.Errorf("the read got %q", s)
			}
		})
	})
}

// A file that is forgotten is closed, and does not stay open for the gauge.
func TestForgottenFilesAreCountedForEver(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, nil)
		func() {
			if _, err := d.Open(name); err != nil {
				t.Fatal(err)
			}
			f, err := d.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}()
		becomes(t, "the gauge says that no file is open", func() bool {
			runtime.GC()
			return d.Metrics().Files == 0
		})
	})
}

// An open that never ends is not given back, on whatever thread it is.
func TestShutdownDoesNotNameAnOpenThatIsStuck(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		name := makeFIFO(t)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if _, err := d.OpenFileContext(ctx, name, os.O_RDONLY, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		stuck := d.Metrics().Offloaded > 0 // the ring's could be canceled
		ctx, cancel = context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		err := d.Shutdown(ctx)
		var report *eddy.ShutdownError
		want := driver.Stuck{Op: "openat", Name: name}
		switch {
		case !stuck && err != nil:
			t.Errorf("nothing is stuck, and yet: %v", err)
		case stuck && (!errors.As(err, &report) || !slices.Equal(report.Stuck, []driver.Stuck{want})):
			t.Errorf("an open that is stuck in the kernel: %v", err)
		}
		w, err := os.OpenFile(name, os.O_RDWR, 0) // lets it end
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		w.Close()
	})
}
