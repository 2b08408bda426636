package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

func TestOpenOfAFifoNobodyWritesToCanBeLeft(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes what is forgotten, too
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err := d.OpenFileContext(ctx, name, os.O_RDONLY, 0)
		var path *fs.PathError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &path) || path.Op != "open" || path.Path != name {
			t.Errorf("open of a FIFO that has no writer: %v, want a *fs.PathError with the context's", err)
		}
		// Lets an open that goes on by itself end, whoever does it.
		w, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		w.Close()
		becomes(t, "what was opened for nobody is closed", func() bool {
			return !slices.Contains(slices.Collect(maps.Values(descriptors())), name)
		})
	})
}

func TestOpenWithContextIsAnOrdinaryOpen(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		dir := t.TempDir()
		name := filepath.Join(dir, "new")
		f, err := d.OpenFileContext(ctx, name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil || info.Size() != 5 || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v; want 5 bytes, mode 640", info, err)
		}
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor flags %#x, %v: not closed on exec", flags, err)
		}
		_, err = d.OpenFileContext(ctx, name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("exclusive open of a file that is there: %v", err)
		}
		_, err = d.OpenFileContext(ctx, filepath.Join(dir, "missing"), os.O_RDONLY, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open of a file that is not there: %v", err)
		}
		_, err = d.OpenFileContext(ctx, "a\x00b", os.O_RDONLY, 0)
		if !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, unix.EINVAL) {
			t.Errorf("open of a name with a zero byte: %v", err)
		}
		cancel()
		if _, err = d.OpenFileContext(ctx, name, os.O_RDONLY, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("open under a context that has ended: %v", err)
		}
	})
}

// What is opened as a place only is not read from, and cannot be made
// non-blocking: fcntl(2) refuses that.
func TestPathIsOpenedOnlyWithoutContext(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for name, flag := range map[string]int{
			makeFIFO(t): unix.O_PATH, "/dev/null": unix.O_PATH, dir: unix.O_PATH | unix.O_DIRECTORY,
			tempFile(t, nil): unix.O_PATH, link: unix.O_PATH | unix.O_NOFOLLOW,
		} {
			want, err := os.OpenFile(name, flag, 0)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			got, err := d.OpenFileContext(ctx, name, flag, 0)
			cancel()
			if err != nil {
				t.Errorf("os.OpenFile opens %s, and we do not: %v", name, err)
				want.Close()
				continue
			}
			a, errA := want.Stat()
			b, errB := got.Stat()
			if errA != nil || errB != nil || !os.SameFile(a, b) {
				t.Errorf("%s: another file: %v, %v", name, errA, errB)
			}
			if _, err := got.Read(make([]byte, 1)); !errors.Is(err, unix.EBADF) {
				t.Errorf("%s: read: %v", name, err)
			}
			got.Close()
			want.Close()
		}
	})
}
