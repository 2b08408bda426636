//go:build linux

package copytree_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/copytree"
)

// FuzzNames copies trees whose names are any bytes a name may have, with links
// to anywhere, into directories in which others have laid traps. Whatever is
// in them, each entry is copied exactly or reported, no link is followed out of
// the destination, and nothing else is made or left there.
func FuzzNames(f *testing.F) {
	drv, err := eddy.New(eddy.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := drv.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, tape []byte) {
		c := &hostile{t: t, tape: tape, base: t.TempDir()}
		c.plant()
		c.copyAndCheck(drv)
	})
}

// hostile is a source, a destination, and what lies outside of both:
//
//	base/outside/secret    a file that nobody may touch
//	base/src               the tree
//	base/dst               what it is copied into
type hostile struct {
	t     *testing.T
	tape  []byte
	base  string
	dirs  []string // of the source, relative to it
	names []string // all entries of the source, relative to it
	traps map[string]bool
	opts  copytree.Options
	asDot bool // the source is named with "/." at its end
}

const secret = "what nobody may touch"

func (c *hostile) byte() byte {
	if len(c.tape) == 0 {
		return 0
	}
	b := c.tape[0]
	c.tape = c.tape[1:]
	return b
}

// name reads a name: up to 31 bytes as they are on the tape, or one of the
// longest.
func (c *hostile) name() string {
	n := c.byte()
	var b []byte
	for range n % 32 {
		b = append(b, c.byte())
	}
	if n >= 224 {
		b = bytes.Repeat(append(b, 'x'), 255)[:255]
	}
	for i := range b {
		if b[i] == '/' || b[i] == 0 {
			b[i] = '_'
		}
	}
	if s := string(b); s != "" && s != "." && s != ".." {
		return s
	}
	return "x"
}

func (c *hostile) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *hostile) src(name string) string { return c.base + "/src/" + name }
func (c *hostile) dst(name string) string { return c.base + "/dst/" + name }

// target is where a link leads.
func (c *hostile) target() string {
	switch c.byte() % 6 {
	case 0:
		return "../outside/secret"
	case 1:
		return c.base + "/outside"
	case 2:
		return "."
	case 3:
		return "../src"
	case 4:
		return "../dst"
	default:
		return c.name()
	}
}

// plant makes the trees.
func (c *hostile) plant() {
	for _, d := range []string{"/outside", "/src", "/dst"} {
		c.check(os.Mkdir(c.base+d, 0o755))
	}
	c.check(os.WriteFile(c.base+"/outside/secret", []byte(secret), 0o644))
	shape := c.byte()
	c.opts = copytree.Options{ChunkSize: 512, Chunks: 2, Files: 3, KeepMode: shape&1 != 0, KeepTimes: shape&2 != 0}
	c.asDot = shape&4 != 0
	c.dirs, c.traps = []string{""}, map[string]bool{}
	for range 10 {
		if len(c.tape) == 0 {
			break
		}
		what := c.byte()
		name := filepath.Join(c.dirs[int(what>>4)%len(c.dirs)], c.name())
		if len(c.base)+len(name) > 3000 {
			continue
		}
		var err error
		switch what % 4 {
		case 0:
			err = create(c.src(name), bytes.Repeat([]byte{what}, int(c.byte())*8))
		case 1:
			if err = os.Mkdir(c.src(name), 0o755); err == nil {
				c.dirs = append(c.dirs, name)
			}
		case 2:
			err = os.Symlink(c.target(), c.src(name))
		default:
			c.trap(name)
			continue
		}
		if err == nil {
			c.names = append(c.names, name)
		}
	}
	c.restore()
}

// create makes a new file, and follows no link to make one elsewhere, of which
// nobody would know.
func create(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// restore undoes what making the source may have written through its own links.
func (c *hostile) restore() {
	c.check(os.WriteFile(c.base+"/outside/secret", []byte(secret), 0o644))
	entries, err := os.ReadDir(c.base + "/outside")
	c.check(err)
	for _, e := range entries {
		if e.Name() != "secret" {
			c.check(os.Remove(c.base + "/outside/" + e.Name()))
		}
	}
	entries, err = os.ReadDir(c.base + "/dst")
	c.check(err)
	for _, e := range entries {
		c.traps[e.Name()] = true
	}
}

// trap puts something into the destination under a name that may be one of the
// source's.
func (c *hostile) trap(name string) {
	name = filepath.Base(name)
	if len(c.names) > 0 && c.byte()%2 == 0 {
		name = filepath.Base(c.names[int(c.byte())%len(c.names)])
	}
	switch c.byte() % 4 {
	case 0:
		_ = os.Symlink("../outside/secret", c.dst(name)) // there may be a trap already
	case 1:
		_ = os.Symlink("../outside", c.dst(name))
	case 2:
		_ = os.Mkdir(c.dst(name), 0o755)
	default:
		if f, err := os.OpenFile(c.dst(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
			_, err = f.WriteString("old")
			c.check(errors.Join(err, f.Close()))
		}
	}
	c.traps[name] = true
}

func (c *hostile) copyAndCheck(drv *eddy.Driver) {
	c.opts.Driver = drv
	before := c.source()
	where := c.base + "/dst"
	from := c.base + "/src"
	if c.asDot {
		from += "/."
	} else {
		where += "/src"
	}
	report, err := copytree.Copy(c.t.Context(), c.opts, []string{from}, c.base+"/dst")
	c.check(err)
	failed := map[string]bool{}
	for _, f := range report.Failures {
		if !c.mayFail(f.Err) {
			c.t.Errorf("%q failed though it can be copied: %v", f.Source, f.Err)
		}
		failed[strings.TrimPrefix(strings.TrimPrefix(filepath.Clean(f.Source), c.base+"/src"), "/")] = true
	}
	if int64(len(report.Failures)) != report.Failed {
		c.t.Errorf("%d failures are counted, %d listed", report.Failed, len(report.Failures))
	}
	if !failed[""] {
		c.checkCopies(where, failed)
	}
	c.checkRest(where)
	if after := c.source(); after != before {
		c.t.Errorf("the source was\n%s\nand is\n%s", before, after)
	}
}

// mayFail tells whether an error is about what the traps, or links, are to
// blame for.
func (c *hostile) mayFail(err error) bool {
	for _, reason := range []error{copytree.ErrSameFile, copytree.ErrIntoItself, copytree.ErrNotDirectory, copytree.ErrIsDirectory} {
		if errors.Is(err, reason) {
			return len(c.traps) > 0 || reason == copytree.ErrSameFile
		}
	}
	return false
}

// source is the source tree as a text.
func (c *hostile) source() string {
	var b strings.Builder
	for _, name := range c.names {
		info, err := os.Lstat(c.src(name))
		c.check(err)
		to, _ := os.Readlink(c.src(name))
		var content []byte
		if info.Mode().IsRegular() {
			content, err = os.ReadFile(c.src(name))
			c.check(err)
		}
		b.WriteString(strings.Join([]string{name, info.Mode().String(), to, string(content)}, "\x00") + "\n")
	}
	return b.String()
}

// checkCopies compares each entry that was not reported, nor is below one that
// was, with its copy.
func (c *hostile) checkCopies(where string, failed map[string]bool) {
	for _, name := range c.names {
		excused := false
		for at := name; at != "."; at = filepath.Dir(at) {
			excused = excused || failed[at]
		}
		if excused {
			continue
		}
		src, err := os.Lstat(c.src(name))
		c.check(err)
		dst, err := os.Lstat(where + "/" + name)
		if err != nil || dst.Mode().Type() != src.Mode().Type() {
			c.t.Errorf("%q is not there, or something else, and nobody said so: %v", name, err)
			continue
		}
		switch {
		case src.Mode()&fs.ModeSymlink != 0:
			want, err := os.Readlink(c.src(name))
			c.check(err)
			if got, err := os.Readlink(where + "/" + name); got != want || err != nil {
				c.t.Errorf("link %q leads to %q, %v; want %q", name, got, err, want)
			}
		case src.Mode().IsRegular():
			want, err := os.ReadFile(c.src(name))
			c.check(err)
			if got, err := os.ReadFile(where + "/" + name); !bytes.Equal(got, want) || err != nil {
				c.t.Errorf("file %q has %d bytes, %v; want other %d", name, len(got), err, len(want))
			}
		}
	}
}

// checkRest looks for what should not be there: anything in the destination
// that is neither of the source nor was there before, and any change outside.
func (c *hostile) checkRest(where string) {
	known := map[string]bool{".": true}
	for _, name := range c.names {
		known[name] = true
	}
	c.check(filepath.WalkDir(c.base+"/dst", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fromDst, err := filepath.Rel(c.base+"/dst", path)
		c.check(err)
		top, _, _ := strings.Cut(fromDst, "/")
		fromWhere, err := filepath.Rel(where, path)
		c.check(err)
		if !known[fromWhere] && !c.traps[top] && fromDst != "." {
			c.t.Errorf("%q is in the destination", fromDst)
		}
		return nil
	}))
	entries, err := os.ReadDir(c.base + "/outside")
	c.check(err)
	data, err := os.ReadFile(c.base + "/outside/secret")
	if len(entries) != 1 || string(data) != secret || err != nil {
		c.t.Errorf("outside of the destination there are %v, %q, %v", entries, data, err)
	}
	if all, err := os.ReadDir(c.base); len(all) != 3 || err != nil {
		c.t.Errorf("beside the destination there are %v, %v", all, err)
	}
}
