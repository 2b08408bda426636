package eddy_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
)

func TestMissingFileIsNotErrNotExist(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		dir := t.TempDir()
		name := filepath.Join(dir, "no", "such")
		_, want := os.Open(name)
		for what, call := range map[string]func() error{
			"Open":      func() error { _, err := d.Open(name); return err },
			"OpenFile":  func() error { _, err := d.OpenFile(name, os.O_RDWR, 0); return err },
			"Create":    func() error { _, err := d.Create(name); return err },
			"ReadFile":  func() error { _, err := d.ReadFile(name); return err },
			"WriteFile": func() error { return d.WriteFile(name, nil, 0o600) },
		} {
			if why := differ(want, call(), [2]string{dir, dir}); why != "" {
				t.Errorf("%s: %s", what, why)
			}
		}
		taken := tempFile(t, nil)
		_, want = os.OpenFile(taken, os.O_CREATE|os.O_EXCL, 0o600)
		_, err := d.OpenFile(taken, os.O_CREATE|os.O_EXCL, 0o600)
		if why := differ(want, err, [2]string{}); why != "" || !errors.Is(err, fs.ErrExist) {
			t.Errorf("O_EXCL: %v, %s", err, why)
		}
	})
}

func TestDirectoryIsReadAsAFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "entry"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := d.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		std, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer std.Close()
		p := make([]byte, 100)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, wantRead := std.Read(p)
		_, wantReadAt := std.ReadAt(p, 0)
		_, wantWrite := std.Write(p)
		_, wantFile := os.ReadFile(dir)
		for what, c := range map[string]struct {
			want error
			call func() error
		}{
			"Read":          {wantRead, func() error { _, err := f.Read(p); return err }},
			"ReadAt":        {wantReadAt, func() error { _, err := f.ReadAt(p, 0); return err }},
			"ReadAtContext": {wantReadAt, func() error { _, err := f.ReadAtContext(ctx, p, 0); return err }},
			"ReadBatch":     {wantReadAt, func() error { return f.ReadBatch(context.Background(), []eddy.BatchRead{{Buf: p}}) }},
			"Write":         {wantWrite, func() error { _, err := f.Write(p); return err }},
			"WriteAt":       {wantWrite, func() error { _, err := f.WriteAt(p, 0); return err }},
			"WriteBatch":    {wantWrite, func() error { return f.WriteBatch(context.Background(), []eddy.BatchWrite{{Buf: p}}) }},
			"ReadFile":      {wantFile, func() error { _, err := d.ReadFile(dir); return err }},
		} {
			err := c.call()
			if why := differ(c.want, err, [2]string{}); why != "" || err == nil {
				t.Errorf("%s of a directory: %v; %s", what, err, why)
			}
		}
		entries, err := f.ReadDir(-1)
		if err != nil || len(entries) != 1 || entries[0].Name() != "entry" {
			t.Errorf("ReadDir: %v, %v", entries, err)
		}
	})
}

// An error that is not wrapped deeper than os's own can be matched by type.
func TestErrorIsHiddenFromATypeAssertion(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, err := d.ReadFile(t.TempDir())
		if _, ok := err.(*fs.PathError); !ok { //nolint:errorlint // the type itself is what is tested
			t.Errorf("ReadFile of a directory: a %T", err)
		}
	})
}

func TestNilFilePanics(t *testing.T) {
	var f *eddy.File
	p := make([]byte, 4)
	for what, call := range map[string]func() error{
		"Close":            f.Close,
		"Read":             func() error { _, err := f.Read(p); return err },
		"ReadAt":           func() error { _, err := f.ReadAt(p, 0); return err },
		"ReadAtContext":    func() error { _, err := f.ReadAtContext(t.Context(), p, 0); return err },
		"ReadBatch":        func() error { return f.ReadBatch(context.Background(), []eddy.BatchRead{{Buf: p}}) },
		"Write":            func() error { _, err := f.Write(p); return err },
		"WriteString":      func() error { _, err := f.WriteString("x"); return err },
		"WriteAt":          func() error { _, err := f.WriteAt(p, 0); return err },
		"WriteAtContext":   func() error { _, err := f.WriteAtContext(t.Context(), p, 0); return err },
		"WriteBatch":       func() error { return f.WriteBatch(context.Background(), []eddy.BatchWrite{{Buf: p}}) },
		"Sync":             f.Sync,
		"SyncContext":      func() error { return f.SyncContext(t.Context()) },
		"Seek":             func() error { _, err := f.Seek(0, 0); return err },
		"Stat":             func() error { _, err := f.Stat(); return err },
		"Truncate":         func() error { return f.Truncate(0) },
		"Chmod":            func() error { return f.Chmod(0) },
		"Chown":            func() error { return f.Chown(0, 0) },
		"Chdir":            f.Chdir,
		"ReadDir":          func() error { _, err := f.ReadDir(0); return err },
		"Readdir":          func() error { _, err := f.Readdir(0); return err },
		"Readdirnames":     func() error { _, err := f.Readdirnames(0); return err },
		"ReadFrom":         func() error { _, err := f.ReadFrom(strings.NewReader("x")); return err },
		"WriteTo":          func() error { _, err := f.WriteTo(io.Discard); return err },
		"SyscallConn":      func() error { _, err := f.SyscallConn(); return err },
		"SetDeadline":      func() error { return f.SetDeadline(time.Now()) },
		"SetReadDeadline":  func() error { return f.SetReadDeadline(time.Now()) },
		"SetWriteDeadline": func() error { return f.SetWriteDeadline(time.Now()) },
		"Name and Fd": func() error {
			if f.Name() != "" || f.Fd() != ^uintptr(0) {
				return nil
			}
			return os.ErrInvalid
		},
	} {
		t.Run(what, func(t *testing.T) {
			if err := call(); !errors.Is(err, os.ErrInvalid) {
				t.Errorf("%v, want os.ErrInvalid", err)
			}
		})
	}
	if _, err := eddy.Default().AdoptFile(nil); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("Adopt(nil): %v", err)
	}
	if err := eddy.Default().Close(); err != nil {
		t.Error(err)
	}
}

func TestEmptyBufferIsAnEndOrAnError(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, tempFile(t, pattern(100)), os.O_RDWR)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, p := range [][]byte{nil, {}} {
			for _, off := range []int64{0, 50, 100, 1 << 40} {
				for what, call := range map[string]func() (int, error){
					"ReadAt":         func() (int, error) { return f.ReadAt(p, off) },
					"ReadAtContext":  func() (int, error) { return f.ReadAtContext(ctx, p, off) },
					"WriteAt":        func() (int, error) { return f.WriteAt(p, off) },
					"WriteAtContext": func() (int, error) { return f.WriteAtContext(ctx, p, off) },
					"Read":           func() (int, error) { return f.Read(p) },
					"Write":          func() (int, error) { return f.Write(p) },
					"ReadBatch":      func() (int, error) { return 0, f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p, Off: off}}) },
					"WriteBatch":     func() (int, error) { return 0, f.WriteBatch(ctx, []eddy.BatchWrite{{Buf: p, Off: off}}) },
				} {
					if n, err := call(); n != 0 || err != nil {
						t.Errorf("%s of nothing at %d: %d, %v", what, off, n, err)
					}
				}
			}
		}
		if err := f.ReadBatch(ctx, nil); err != nil {
			t.Errorf("an empty batch: %v", err)
		}
		if info, err := f.Stat(); err != nil || info.Size() != 100 {
			t.Errorf("writing nothing has changed the file: %v, %v", info.Size(), err)
		}
	})
}

func TestWrongDirectionIsNoError(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, pattern(5000))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w, r := open(t, d, name, os.O_WRONLY), open(t, d, name, os.O_RDONLY)
		std, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer std.Close()
		stdR, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer stdR.Close()
		p := make([]byte, 4096)
		_, wantRead := std.ReadAt(p, 0)
		_, wantWrite := stdR.WriteAt(p, 0)
		for range 3 { // the path may change with experience
			for _, c := range []struct {
				what string
				want error
				call func() error
			}{
				{"ReadAt", wantRead, func() error { _, err := w.ReadAt(p, 0); return err }},
				{"ReadAtContext", wantRead, func() error { _, err := w.ReadAtContext(ctx, p, 0); return err }},
				{"ReadBatch", wantRead, func() error { return w.ReadBatch(ctx, []eddy.BatchRead{{Buf: p}}) }},
				{"Read", wantRead, func() error { _, err := w.Read(p); return err }},
				{"WriteAt", wantWrite, func() error { _, err := r.WriteAt(p, 0); return err }},
				{"WriteAtContext", wantWrite, func() error { _, err := r.WriteAtContext(ctx, p, 0); return err }},
				{"WriteBatch", wantWrite, func() error { return r.WriteBatch(ctx, []eddy.BatchWrite{{Buf: p}}) }},
				{"Write", wantWrite, func() error { _, err := r.Write(p); return err }},
			} {
				err := c.call()
				if why := differ(c.want, err, [2]string{}); why != "" || err == nil {
					t.Errorf("%s: %v; %s", c.what, err, why)
				}
			}
		}
	})
}

func TestBatchWithBadReadsLosesTheGoodOnes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		data := pattern(100_000)
		f := open(t, d, tempFile(t, data), os.O_RDONLY)
		cancelable, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, ctx := range []context.Context{context.Background(), cancelable} {
			reads := []eddy.BatchRead{
				{Buf: make([]byte, 4096), Off: 0},
				{Buf: make([]byte, 4096), Off: -1},
				{Buf: make([]byte, 4096), Off: 98_000},
				{Buf: make([]byte, 10), Off: 200_000},
				{Buf: nil, Off: 5},
				{Buf: make([]byte, 50_000), Off: 777, N: 99, Err: io.ErrNoProgress},
			}
			err := f.ReadBatch(ctx, reads)
			if err == nil || err != reads[1].Err { //nolint:errorlint // the very same error
				t.Errorf("the batch's error is %v, the first read's that failed %v", err, reads[1].Err)
			}
			want := []struct {
				n   int
				err error
			}{{4096, nil}, {0, reads[1].Err}, {2000, io.EOF}, {0, io.EOF}, {0, nil}, {50_000, nil}}
			for i, r := range reads {
				if r.N != want[i].n || r.Err != want[i].err { //nolint:errorlint // io.EOF has to be bare
					t.Errorf("read %d: %d, %v; want %d, %v", i, r.N, r.Err, want[i].n, want[i].err)
				}
				if r.N > 0 && string(r.Buf[:r.N]) != string(data[r.Off:r.Off+int64(r.N)]) {
					t.Errorf("read %d: wrong bytes", i)
				}
			}
		}
	})
}

// A batch that never began says so in each of its reads: what they say is all
// that many a caller looks at.
func TestBatchThatWasRefusedLooksDone(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, pattern(10_000))
		check := func(what string, f *eddy.File, ctx context.Context, want error) {
			reads := []eddy.BatchRead{
				{Buf: make([]byte, 4096), N: 4096},
				{Buf: make([]byte, 4096), Off: 4096, N: 4096},
			}
			if err := f.ReadBatch(ctx, reads); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			for i, r := range reads {
				if r.N != 0 || !errors.Is(r.Err, want) {
					t.Errorf("%s: read %d has %d, %v; want 0, %v", what, i, r.N, r.Err, want)
				}
			}
			writes := []eddy.BatchWrite{
				{Buf: make([]byte, 4096), N: 4096},
				{Buf: make([]byte, 4096), Off: 4096, N: 4096},
			}
			if err := f.WriteBatch(ctx, writes); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			for i, w := range writes {
				if w.N != 0 || !errors.Is(w.Err, want) {
					t.Errorf("%s: write %d has %d, %v; want 0, %v", what, i, w.N, w.Err, want)
				}
			}
		}
		f := open(t, d, name, os.O_RDWR)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		check("ended context", f, ended, context.Canceled)
		if err := f.SetDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		check("past deadline", f, t.Context(), os.ErrDeadlineExceeded)
		f.Close()
		check("closed file", f, t.Context(), fs.ErrClosed)
		g := open(t, d, name, os.O_RDWR)
		shutdown(t, d)
		check("driver shut down", g, t.Context(), eddy.ErrShutdown)
		if data, err := os.ReadFile(name); err != nil || string(data) != string(pattern(10_000)) {
			t.Errorf("the file has changed: %d bytes, %v", len(data), err)
		}
	})
}

func TestBadConfigIsAccepted(t *testing.T) {
	checkLeaks(t)
	for what, cfg := range map[string]eddy.Config{
		"a million entries": {RingEntries: 1 << 20},
		"unknown backend":   {Backend: 99},
		"unknown submit":    {Submit: 99},
	} {
		if d, err := eddy.New(cfg); err == nil {
			t.Errorf("%s: no error", what)
			d.Close()
		} else if !strings.HasPrefix(err.Error(), "eddy: ") {
			t.Errorf("%s: %q does not say whose error it is", what, err)
		}
	}
}

func TestOddRingSizeIsRefused(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		for _, entries := range []uint32{0, 1, 3, driver.MaxRingEntries} {
			cfg.RingEntries = entries
			d := newDriver(t, cfg)
			f := open(t, d, tempFile(t, pattern(9000)), os.O_RDONLY)
			reads := make([]eddy.BatchRead, 100) // more than a small ring holds
			for i := range reads {
				reads[i] = eddy.BatchRead{Buf: make([]byte, 90), Off: int64(i) * 90}
			}
			if err := f.ReadBatch(context.Background(), reads); err != nil {
				t.Errorf("%d entries: %v", entries, err)
			}
			for i, r := range reads {
				if string(r.Buf) != string(pattern(9000)[i*90:i*90+90]) {
					t.Fatalf("%d entries: read %d has wrong bytes", entries, i)
				}
			}
			shutdown(t, d)
		}
	})
}

func TestJunkInTheEnvironmentIsIgnored(t *testing.T) {
	checkLeaks(t)
	t.Setenv("EDDY_BACKEND", "io-uring, please")
	_, err := eddy.New(eddy.Config{})
	if err == nil || !strings.Contains(err.Error(), "EDDY_BACKEND") || !strings.Contains(err.Error(), "io-uring, please") {
		t.Errorf("the error names neither the variable nor its value: %v", err)
	}
	// A backend that was asked for by the program is not the environment's.
	d, err := eddy.New(eddy.Config{Backend: eddy.BackendPortable})
	if err != nil {
		t.Fatal(err)
	}
	shutdown(t, d)
}

func TestEnvironmentDoesNotOverrideAuto(t *testing.T) {
	checkLeaks(t)
	for _, name := range []string{"portable", "auto"} {
		t.Setenv("EDDY_BACKEND", name)
		d := newDriver(t, eddy.Config{})
		if got := d.Status().Backend; (got == eddy.BackendPortable) != (name == "portable") && name == "portable" {
			t.Errorf("EDDY_BACKEND=%s gives %v", name, got)
		}
		shutdown(t, d)
	}
}

func TestParseBackendIsNotTheInverseOfString(t *testing.T) {
	for _, b := range []eddy.Backend{eddy.BackendAuto, eddy.BackendURing, eddy.BackendEpoll, eddy.BackendPortable} {
		if got, err := eddy.ParseBackend(b.String()); got != b || err != nil {
			t.Errorf("%v: %v, %v", b, got, err)
		}
	}
	for _, s := range []string{"", "URING", "uring ", "kqueue", eddy.Backend(77).String()} {
		if _, err := eddy.ParseBackend(s); err == nil {
			t.Errorf("%q is taken for a backend", s)
		}
	}
}
