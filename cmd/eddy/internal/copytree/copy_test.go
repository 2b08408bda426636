package copytree_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/copytree"
)

const page = 4096

// slowly are options under which a copy takes long enough to be disturbed: a small chunk at a time.
func slowly(t *testing.T) copytree.Options {
	t.Helper()
	drv, err := eddy.New(eddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	return copytree.Options{Driver: drv, ChunkSize: page, Chunks: 1, Progress: new(copytree.Progress)}
}

// whileCopying copies a file of size bytes, followed by a hole up to length if that is given, and calls disturb once
// a part of it is copied.
func whileCopying(t *testing.T, size int, disturb func(src string), length ...int64) (report copytree.Report, src, dst string) {
	t.Helper()
	src, dst = filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "dst")
	if err := os.WriteFile(src, bytes.Repeat([]byte{7}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, l := range length {
		if err := os.Truncate(src, l); err != nil {
			t.Fatal(err)
		}
	}
	opts := slowly(t)
	disturbed := make(chan struct{})
	go func() {
		defer close(disturbed)
		for opts.Progress.Bytes.Load() < int64(size/64) {
			time.Sleep(10 * time.Microsecond)
		}
		disturb(src)
	}()
	report, err := copytree.Copy(t.Context(), opts, []string{src}, dst)
	if err != nil {
		t.Fatal(err)
	}
	<-disturbed
	return report, src, dst
}

func TestShrunkenSourceIsPaddedOrCut(t *testing.T) {
	const size = 64 << 20
	report, _, dst := whileCopying(t, size, func(src string) {
		if err := os.Truncate(src, size/2); err != nil {
			t.Error(err)
		}
	})
	if len(report.Failures) != 1 || !errors.Is(report.Failures[0].Err, copytree.ErrShrank) || report.Files != 0 {
		t.Errorf("%+v", report)
	}
	if left, err := os.ReadDir(filepath.Dir(dst)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestShrunkenHoleIsPadded: no read notices a hole that is cut off.
func TestShrunkenHoleIsPadded(t *testing.T) {
	const data, size = 16 << 20, 64 << 20
	report, _, dst := whileCopying(t, data, func(src string) {
		if err := os.Truncate(src, size/2); err != nil {
			t.Error(err)
		}
	}, size)
	if len(report.Failures) != 1 || !errors.Is(report.Failures[0].Err, copytree.ErrShrank) || report.Files != 0 {
		t.Errorf("%+v", report)
	}
	if left, err := os.ReadDir(filepath.Dir(dst)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestGrownSourceIsCopiedPastItsSize(t *testing.T) {
	const size = 16 << 20
	report, src, dst := whileCopying(t, size, func(src string) {
		f, err := os.OpenFile(src, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if _, err := f.Write(make([]byte, 10*page)); err != nil {
			t.Error(err)
		}
	})
	if report.Failed != 0 || report.Files != 1 || report.Bytes != size {
		t.Errorf("%+v", report)
	}
	want, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dst); err != nil || !bytes.Equal(got, want[:size]) {
		t.Errorf("the copy has %d bytes, %v; want the first %d of the source", len(got), err, size)
	}
}

// TestMemoryGrowsWithTheFile: whatever is copied, no more buffers exist than asked for.
func TestMemoryGrowsWithTheFile(t *testing.T) {
	const files, size = 6, 4 << 20
	opts := slowly(t)
	opts.Chunks = 3
	src, dst := t.TempDir(), t.TempDir()
	for i := range files {
		if err := os.WriteFile(filepath.Join(src, string(rune('a'+i))), bytes.Repeat([]byte{byte(i)}, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := copytree.Copy(t.Context(), opts, []string{src + "/."}, dst)
	runtime.ReadMemStats(&after)
	if err != nil || report.Failed > 0 || report.Files != files {
		t.Fatalf("%+v, %v", report, err)
	}
	// 24 MiB went through 12 KiB of buffers. The rest is what each of 6144 chunks costs in goroutines and, under the
	// race detector, in what pools forget on purpose.
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(20<<20); got > most {
		t.Errorf("%d bytes were allocated to copy %d, want at most %d", got, files*size, most)
	}
}

func TestCopyGoesOnAfterItsContext(t *testing.T) {
	opts := slowly(t)
	src, dst := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithCause(t)
	cancel(errStopped)
	report, err := copytree.Copy(ctx, opts, []string{filepath.Join(src, "a")}, dst)
	if !errors.Is(err, errStopped) || report.Files != 0 || report.Failed != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if left, err := os.ReadDir(dst); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

var errStopped = errors.New("stopped")

func contextWithCause(t *testing.T) (context.Context, context.CancelCauseFunc) {
	t.Helper()
	return context.WithCancelCause(t.Context())
}
