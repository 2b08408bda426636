package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// pair is the same file twice: once as an *os.File, once as an *eddy.File. What
// is done to one is done to the other, and must come to the same.
type pair struct {
	t      *testing.T
	rng    *rand.Rand
	std    *os.File
	eddy   *eddy.File
	dirs   [2]string
	log    []string
	end    context.Context
	append bool
}

func newPair(t *testing.T, d *eddy.Driver, seed uint64, flag int) *pair {
	p := &pair{t: t, rng: rand.New(rand.NewPCG(seed, 1)), dirs: [2]string{t.TempDir(), t.TempDir()}}
	content := pattern(p.rng.IntN(20000))
	for _, dir := range p.dirs {
		if err := os.WriteFile(filepath.Join(dir, "file"), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if p.std, err = os.OpenFile(filepath.Join(p.dirs[0], "file"), flag, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.std.Close() })
	p.eddy = open(t, d, filepath.Join(p.dirs[1], "file"), flag)
	p.append = flag&os.O_APPEND != 0
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	p.end = ctx
	return p
}

// context is, at random, one that can end or one that cannot.
func (p *pair) context() context.Context {
	if p.rng.IntN(2) == 0 {
		return context.Background()
	}
	return p.end
}

// compare fails the test unless both sides said the same.
func (p *pair) compare(what string, stdResult, eddyResult any, stdErr, eddyErr error) {
	p.t.Helper()
	p.log = append(p.log, what)
	if stdResult != eddyResult {
		p.t.Fatalf("%s: os.File says %v (%v), eddy says %v (%v)\nafter %s", what, stdResult, stdErr, eddyResult, eddyErr, p.tail())
	}
	if why := differ(stdErr, eddyErr, p.dirs); why != "" {
		p.t.Fatalf("%s: %s\nafter %s", what, why, p.tail())
	}
}

func (p *pair) tail() string {
	return strings.Join(p.log[max(0, len(p.log)-10):], "; ")
}

// differ tells in what two errors differ that a program could notice: their
// text (but for the directory), their being bare io.EOF, what they wrap.
func differ(std, ours error, dirs [2]string) string {
	if (std == nil) != (ours == nil) || (std == io.EOF) != (ours == io.EOF) {
		return fmt.Sprintf("os.File's error is %v, eddy's %v", std, ours)
	}
	if std == nil {
		return ""
	}
	for _, kind := range []error{
		fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrClosed, fs.ErrInvalid,
		io.EOF, os.ErrDeadlineExceeded, os.ErrNoDeadline, errors.ErrUnsupported,
	} {
		if errors.Is(std, kind) != errors.Is(ours, kind) {
			return fmt.Sprintf("only one is %v: os.File's %v, eddy's %v", kind, std, ours)
		}
	}
	var a, b *fs.PathError
	if errors.As(std, &a) {
		if !errors.As(ours, &b) {
			return fmt.Sprintf("os.File's error is a %T, eddy's a %T", std, ours)
		}
		if a.Op != b.Op || errors.Is(a.Err, b.Err) != errors.Is(b.Err, a.Err) {
			return fmt.Sprintf("os.File's error is %#v, eddy's %#v", a, b)
		}
	}
	if x, y := strings.ReplaceAll(std.Error(), dirs[0], ""), strings.ReplaceAll(ours.Error(), dirs[1], ""); a != nil && x != y {
		return fmt.Sprintf("os.File's error is %q, eddy's %q", x, y)
	}
	return ""
}

// size is the length of a buffer: small ones, whole pages, large ones, none.
func (p *pair) size() int {
	switch p.rng.IntN(5) {
	case 0:
		return 0
	case 1:
		return p.rng.IntN(16)
	case 2:
		return 4096 * p.rng.IntN(4)
	default:
		return p.rng.IntN(9000)
	}
}

func (p *pair) offset() int64 {
	if p.rng.IntN(20) == 0 {
		return -1 - int64(p.rng.IntN(5))
	}
	return int64(p.rng.IntN(25000))
}

func (p *pair) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(p.rng.Uint32())
	}
	return b
}

// readers do the same read on both sides, into equal buffers.
func (p *pair) read(what string, n int, std, ours func([]byte) (int, error)) {
	p.t.Helper()
	a, b := make([]byte, n), make([]byte, n)
	fillCanary(a)
	fillCanary(b)
	na, ea := std(a)
	nb, eb := ours(b)
	p.compare(what, na, nb, ea, eb)
	if !bytes.Equal(a, b) {
		p.t.Fatalf("%s: the bytes differ, after %s", what, p.tail())
	}
}

// step does one random operation.
func (p *pair) step() {
	p.t.Helper()
	switch p.rng.IntN(14) {
	case 0, 1:
		p.read("Read", p.size(), p.std.Read, p.eddy.Read)
	case 2, 3:
		off := p.offset()
		ctx := p.context()
		p.read(fmt.Sprintf("ReadAt %d", off), p.size(),
			func(b []byte) (int, error) { return p.std.ReadAt(b, off) },
			func(b []byte) (int, error) { return p.eddy.ReadAtContext(ctx, b, off) })
	case 4, 5:
		data := p.random(p.size())
		na, ea := p.std.Write(data)
		nb, eb := p.eddy.Write(data)
		p.compare(fmt.Sprintf("Write %d", len(data)), na, nb, ea, eb)
	case 6, 7:
		data, off, ctx := p.random(p.size()), p.offset(), p.context()
		na, ea := p.std.WriteAt(data, off)
		nb, eb := p.eddy.WriteAtContext(ctx, data, off)
		p.compare(fmt.Sprintf("WriteAt %d at %d", len(data), off), na, nb, ea, eb)
	case 8:
		off, whence := int64(p.rng.IntN(20000)-2000), p.rng.IntN(4)
		na, ea := p.std.Seek(off, whence)
		nb, eb := p.eddy.Seek(off, whence)
		p.compare(fmt.Sprintf("Seek %d %d", off, whence), na, nb, ea, eb)
	case 9:
		size := int64(p.rng.IntN(25000) - 500)
		p.compare(fmt.Sprintf("Truncate %d", size), 0, 0, p.std.Truncate(size), p.eddy.Truncate(size))
	case 10:
		a, ea := p.std.Stat()
		b, eb := p.eddy.Stat()
		if ea == nil && eb == nil {
			p.compare("Stat", fmt.Sprint(a.Name(), a.Size(), a.Mode()), fmt.Sprint(b.Name(), b.Size(), b.Mode()), ea, eb)
		} else {
			p.compare("Stat", 0, 0, ea, eb)
		}
	case 11:
		data := string(p.random(p.size()))
		na, ea := p.std.ReadFrom(strings.NewReader(data))
		nb, eb := p.eddy.ReadFrom(strings.NewReader(data))
		p.compare(fmt.Sprintf("ReadFrom %d", len(data)), na, nb, ea, eb)
	case 12:
		var a, b bytes.Buffer
		na, ea := p.std.WriteTo(&a)
		nb, eb := p.eddy.WriteTo(&b)
		p.compare("WriteTo", na, nb, ea, eb)
		p.compare("WriteTo's bytes", a.String(), b.String(), nil, nil)
	default:
		p.compare("Sync", 0, 0, nil, nil)
		text := string(p.random(p.size()))
		na, ea := p.std.WriteString(text)
		nb, eb := p.eddy.WriteString(text)
		p.compare("WriteString", na, nb, ea, eb)
	}
}

// deadlines gives eddy's file deadlines that are far away, or takes them away:
// that changes the path of an operation and nothing else.
func (p *pair) deadlines() {
	at := time.Time{}
	if p.rng.IntN(2) == 0 {
		at = time.Now().Add(time.Hour)
	}
	set := []func(time.Time) error{p.eddy.SetDeadline, p.eddy.SetReadDeadline, p.eddy.SetWriteDeadline}[p.rng.IntN(3)]
	if err := set(at); err != nil {
		p.t.Fatal(err)
	}
}

// same compares what the two files have become.
func (p *pair) same() {
	p.t.Helper()
	a, ea := os.ReadFile(filepath.Join(p.dirs[0], "file"))
	b, eb := os.ReadFile(filepath.Join(p.dirs[1], "file"))
	if ea != nil || eb != nil || !bytes.Equal(a, b) {
		p.t.Fatalf("the files differ (%d and %d bytes, %v, %v) after %s", len(a), len(b), ea, eb, p.tail())
	}
	na, ea := p.std.Seek(0, io.SeekCurrent)
	nb, eb := p.eddy.Seek(0, io.SeekCurrent)
	p.compare("offset", na, nb, ea, eb)
}

func TestFileDiffersFromOSFile(t *testing.T) {
	flags := map[string]int{
		"rdwr":   os.O_RDWR,
		"rdonly": os.O_RDONLY,
		"wronly": os.O_WRONLY,
		"append": os.O_RDWR | os.O_APPEND,
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for name, flag := range flags {
			for seed := range uint64(4) {
				t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
					p := newPair(t, d, seed, flag)
					for i := range 250 {
						if i%7 == 0 {
							p.deadlines()
						}
						p.step()
						if i%50 == 49 {
							p.same()
						}
					}
				})
			}
		}
	})
}

// Every method of a closed file says the same as os.File's.
func TestClosedFileDiffersFromOSFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		p := newPair(t, d, 1, os.O_RDWR)
		b := make([]byte, 10)
		p.compare("Close", 0, 0, p.std.Close(), p.eddy.Close())
		p.compare("Close again", 0, 0, p.std.Close(), p.eddy.Close())
		p.read("Read", 10, p.std.Read, p.eddy.Read)
		p.read("ReadAt", 10,
			func(b []byte) (int, error) { return p.std.ReadAt(b, 0) },
			func(b []byte) (int, error) { return p.eddy.ReadAt(b, 0) })
		na, ea := p.std.Write(b)
		nb, eb := p.eddy.Write(b)
		p.compare("Write", na, nb, ea, eb)
		na, ea = p.std.WriteAt(b, 0)
		nb, eb = p.eddy.WriteAt(b, 0)
		p.compare("WriteAt", na, nb, ea, eb)
		na, ea = p.std.WriteString("x")
		nb, eb = p.eddy.WriteString("x")
		p.compare("WriteString", na, nb, ea, eb)
		sa, ea := p.std.Seek(0, 0)
		sb, eb := p.eddy.Seek(0, 0)
		p.compare("Seek", sa, sb, ea, eb)
		_, ea = p.std.Stat()
		_, eb = p.eddy.Stat()
		p.compare("Stat", 0, 0, ea, eb)
		p.compare("Sync", 0, 0, p.std.Sync(), p.eddy.Sync())
		p.compare("Truncate", 0, 0, p.std.Truncate(0), p.eddy.Truncate(0))
		p.compare("Chmod", 0, 0, p.std.Chmod(0o600), p.eddy.Chmod(0o600))
		p.compare("Chown", 0, 0, p.std.Chown(-1, -1), p.eddy.Chown(-1, -1))
		p.compare("Chdir", 0, 0, p.std.Chdir(), p.eddy.Chdir())
		p.compare("Fd", p.std.Fd(), p.eddy.Fd(), nil, nil)
		for what, call := range map[string]func() error{
			"ReadAtContext":    func() error { _, err := p.eddy.ReadAtContext(p.end, b, 0); return err },
			"WriteAtContext":   func() error { _, err := p.eddy.WriteAtContext(p.end, b, 0); return err },
			"SyncContext":      func() error { return p.eddy.SyncContext(p.end) },
			"ReadBatch":        func() error { return p.eddy.ReadBatch(p.end, []eddy.BatchRead{{Buf: b}}) },
			"ReadFrom":         func() error { _, err := p.eddy.ReadFrom(strings.NewReader("x")); return err },
			"WriteTo":          func() error { _, err := p.eddy.WriteTo(io.Discard); return err },
			"SetDeadline":      func() error { return p.eddy.SetDeadline(time.Now()) },
			"SetReadDeadline":  func() error { return p.eddy.SetReadDeadline(time.Now()) },
			"SetWriteDeadline": func() error { return p.eddy.SetWriteDeadline(time.Now()) },
			"ReadDir":          func() error { _, err := p.eddy.ReadDir(1); return err },
			"Readdir":          func() error { _, err := p.eddy.Readdir(1); return err },
			"Readdirnames":     func() error { _, err := p.eddy.Readdirnames(1); return err },
			"SyscallConn":      func() error { _, err := p.eddy.SyscallConn(); return err },
		} {
			var path *fs.PathError
			if err := call(); !errors.Is(err, fs.ErrClosed) || !errors.As(err, &path) {
				t.Errorf("%s of a closed file: %v", what, err)
			}
		}
		if p.eddy.Name() != filepath.Join(p.dirs[1], "file") {
			t.Errorf("a closed file has lost its name: %q", p.eddy.Name())
		}
	})
}
