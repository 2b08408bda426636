package eddy_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/eddyio/eddy"
)

// tree is a directory as an fs.FS whose files are a driver's.
type tree struct {
	d   *eddy.Driver
	dir string
}

func (t tree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return t.d.Open(filepath.Join(t.dir, filepath.FromSlash(name)))
}

func TestFileBreaksTheRulesOfIOFS(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
			t.Fatal(err)
		}
		large := 9_000
		if testing.Short() {
			large = 600
		}
		for name, size := range map[string]int{"empty": 0, "a/small": 10, "a/b/large": large} {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), pattern(size), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := fstest.TestFS(tree{d, dir}, "empty", "a/small", "a/b/large"); err != nil {
			t.Error(err)
		}
	})
}

func TestFileBreaksTheRulesOfReaders(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		sizes := []int{0, 1, 4096, 9_001}
		if testing.Short() { // byte by byte, in the slowest of machines
			sizes = []int{0, 1, 513}
		}
		for _, size := range sizes {
			f := open(t, d, tempFile(t, pattern(size)), os.O_RDONLY)
			for _, at := range []time.Time{{}, time.Now().Add(time.Hour)} {
				if err := f.SetReadDeadline(at); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				if err := iotest.TestReader(f, pattern(size)); err != nil {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
		}
	})
}

func TestWriteFileDiffersFromOS(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		dir := t.TempDir()
		for i, size := range []int{0, 1, 511, 512, 513, 4096, 1 << 20, 10} {
			ours, std := filepath.Join(dir, "ours"), filepath.Join(dir, "std")
			perm := []fs.FileMode{0o600, 0o644, 0o777}[i%3]
			if i%2 == 0 { // made anew; otherwise truncated, with its old mode
				os.Remove(ours)
				os.Remove(std)
			}
			if err := d.WriteFile(ours, pattern(size), perm); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(std, pattern(size), perm); err != nil {
				t.Fatal(err)
			}
			a, err := os.Stat(ours)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.Stat(std)
			if err != nil {
				t.Fatal(err)
			}
			if a.Mode() != b.Mode() || a.Size() != b.Size() {
				t.Errorf("%d bytes: %v %d, want %v %d", size, a.Mode(), a.Size(), b.Mode(), b.Size())
			}
			data, err := d.ReadFile(ours)
			if err != nil || !bytes.Equal(data, pattern(size)) {
				t.Errorf("%d bytes: read back %d, %v", size, len(data), err)
			}
		}
	})
}

// Files of /proc say that they are empty.
func TestReadFileBelievesTheSize(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: no /proc")
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, name := range []string{"/proc/version", "/proc/self/maps", "/proc/kallsyms", "/proc/filesystems", "/dev/null"} {
			want, wantErr := os.ReadFile(name)
			got, err := d.ReadFile(name)
			if wantErr != nil || err != nil {
				if why := differ(wantErr, err, [2]string{}); why != "" {
					t.Error(why)
				}
				continue
			}
			if name == "/proc/self/maps" { // changes all the time
				want, got = want[:10], got[:10]
			}
			if !bytes.Equal(want, got) {
				t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
			}
		}
		// The same file again through ReadAt, with an offset.
		f := open(t, d, "/proc/version", os.O_RDONLY)
		want, err := os.ReadFile("/proc/version")
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 1000)
		if n, err := f.ReadAt(p, 6); err != io.EOF || string(p[:n]) != string(want[6:]) { //nolint:errorlint // bare
			t.Errorf("ReadAt: %q, %v", p[:n], err)
		}
	})
}

func TestCreateKeepsOldContent(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, pattern(5000))
		f, err := d.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.WriteAt([]byte("new"), 0); n != 3 || err != nil {
			t.Error(n, err)
		}
		p := make([]byte, 10)
		if n, err := f.ReadAt(p, 0); n != 3 || err != io.EOF || string(p[:3]) != "new" { //nolint:errorlint // bare
			t.Errorf("%q, %v", p[:n], err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPackageFunctionsAreNotDefaults(t *testing.T) {
	checkLeaks(t)
	before := eddy.Default()
	name := filepath.Join(t.TempDir(), "file")
	if err := eddy.WriteFile(name, pattern(100), 0o600); err != nil {
		t.Fatal(err)
	}
	open := map[string]func() (*eddy.File, error){
		"Open":     func() (*eddy.File, error) { return eddy.Open(name) },
		"OpenFile": func() (*eddy.File, error) { return eddy.OpenFile(name, os.O_RDWR, 0) },
		"Create":   func() (*eddy.File, error) { return eddy.Create(name) },
	}
	for _, what := range []string{"Open", "OpenFile", "Create"} {
		f, err := open[what]()
		if err != nil {
			t.Fatal(err)
		}
		if n := before.Metrics().Files; n != 1 {
			t.Errorf("%s: the default driver has %d files", what, n)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if data, err := eddy.ReadFile(name); err != nil || len(data) != 0 {
		t.Errorf("after Create: %d bytes, %v", len(data), err)
	}
	shutdown(t, before)
}

// An adopted file is the same file, at the same offset, and has one owner.
func TestAdoptedFileIsClosedTwice(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		std, err := os.OpenFile(tempFile(t, pattern(5000)), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := std.Seek(1000, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		f, err := d.AdoptFile(std)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 100)
		if n, err := f.Read(p); n != 100 || err != nil || !bytes.Equal(p, pattern(5000)[1000:1100]) {
			t.Errorf("%d, %v", n, err)
		}
		if f.Name() != std.Name() || f.Fd() != std.Fd() {
			t.Error("not the same file")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := std.Close(); err == nil {
			t.Error("closed twice")
		}
	})
}

func TestCopyBetweenFilesLosesBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		data := pattern(3 << 20)
		src := tempFile(t, data)
		for what, prepare := range map[string]func(from, to *eddy.File) error{
			"plainly":       func(*eddy.File, *eddy.File) error { return nil },
			"read deadline": func(from, _ *eddy.File) error { return from.SetReadDeadline(time.Now().Add(time.Hour)) },
			"write deadline": func(_, to *eddy.File) error {
				return to.SetWriteDeadline(time.Now().Add(time.Hour))
			},
		} {
			for _, way := range []string{"io.Copy", "WriteTo", "ReadFrom", "ReadFrom a limited reader"} {
				from := open(t, d, src, os.O_RDONLY)
				to := open(t, d, filepath.Join(t.TempDir(), "copy"), os.O_RDWR|os.O_CREATE)
				if err := prepare(from, to); err != nil {
					t.Fatal(err)
				}
				want := data
				var n int64
				var err error
				switch way {
				case "io.Copy":
					n, err = io.Copy(to, from)
				case "WriteTo":
					n, err = from.WriteTo(to)
				case "ReadFrom":
					n, err = to.ReadFrom(from)
				default:
					want = data[:1_000_000]
					n, err = io.CopyN(to, from, int64(len(want)))
				}
				got, readErr := os.ReadFile(to.Name())
				if n != int64(len(want)) || err != nil || readErr != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, %s: %d bytes, %v; the copy has %d", way, what, n, err, len(got))
				}
				from.Close()
				to.Close()
			}
		}
	})
}

func TestCopyFromClosedFileSucceeds(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		closed := open(t, d, tempFile(t, pattern(100)), os.O_RDWR)
		closed.Close()
		f := open(t, d, tempFile(t, pattern(100)), os.O_RDWR)
		if n, err := f.ReadFrom(closed); n != 0 || err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
		if _, err := f.WriteTo(closed); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("WriteTo: %v", err)
		}
	})
}
