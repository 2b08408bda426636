package copytree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	ownerAll = fs.FileMode(0o700)

	// entriesAtOnce bounds the memory that one directory takes while it is walked.
	entriesAtOnce = 1024
)

// top copies one source named by the user.
func (c *copier) top(ctx context.Context, p pair) {
	if p.err != nil {
		c.fail(ctx, p.src, p.dst, p.err)
		return
	}
	info, err := os.Lstat(p.src)
	if err != nil {
		c.fail(ctx, p.src, p.dst, err)
		return
	}
	if p.asDir && !info.IsDir() {
		c.fail(ctx, p.src, p.dst, fmt.Errorf("%q: %w", p.dst, ErrNotDirectory))
		return
	}
	c.root = nil
	if info.IsDir() {
		if err := checkOutside(info, p.dst); err != nil {
			c.fail(ctx, p.src, p.dst, err)
			return
		}
	}
	c.entry(ctx, p.src, p.dst, info)
}

// entry copies whatever src is; info is what lstat says of it. Files are copied by goroutines of their own.
func (c *copier) entry(ctx context.Context, src, dst string, info fs.FileInfo) {
	var err error
	switch mode := info.Mode(); {
	case mode.IsRegular():
		c.startFile(ctx, src, dst, info)
		return
	case mode.IsDir():
		err = c.copyDirectory(ctx, src, dst, info)
	case mode&fs.ModeSymlink != 0:
		err = c.copyLink(src, dst, info)
	default:
		err = fmt.Errorf("it is a %s: %w", kind(mode), ErrSpecialSource)
	}
	if err != nil {
		c.fail(ctx, src, dst, err)
	}
}

// startFile waits for its turn and copies src beside the others.
func (c *copier) startFile(ctx context.Context, src, dst string, info fs.FileInfo) {
	select {
	case c.files <- struct{}{}:
	case <-ctx.Done():
		return
	}
	c.running.Go(func() {
		defer func() { <-c.files }()
		size, unkept, err := c.copyFile(ctx, src, dst, info)
		if err != nil {
			c.fail(ctx, src, dst, err)
			return
		}
		c.done(dst, &c.report.Files, size)
		if unkept != nil {
			c.fail(ctx, src, dst, unkept)
		}
	})
}

func (c *copier) copyDirectory(ctx context.Context, src, dst string, info fs.FileInfo) error {
	if c.root != nil && sameFile(c.root, info) {
		return ErrIntoItself
	}
	if err := c.makeDirectory(dst, info); err != nil {
		return err
	}
	if c.root == nil {
		root, err := os.Stat(dst)
		if err != nil {
			return err
		}
		c.root = root
	}
	d, err := os.Open(src)
	if err != nil {
		return err
	}
	// Subdirectories wait until this one is read and closed: a deep tree must not hold a descriptor for each level.
	var below []string
	for {
		entries, err := d.ReadDir(entriesAtOnce)
		for _, e := range entries {
			if ctx.Err() != nil {
				return d.Close()
			}
			if e.IsDir() {
				below = append(below, e.Name())
				continue
			}
			c.named(ctx, src, dst, e.Name())
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(err, d.Close())
		}
	}
	if err := d.Close(); err != nil {
		return err
	}
	for _, name := range below {
		if ctx.Err() != nil {
			return nil
		}
		c.named(ctx, src, dst, name)
	}
	return nil
}

// named copies one entry of the directory src.
func (c *copier) named(ctx context.Context, src, dst, name string) {
	src, dst = filepath.Join(src, name), filepath.Join(dst, name)
	info, err := os.Lstat(src)
	if err != nil {
		c.fail(ctx, src, dst, err)
		return
	}
	c.entry(ctx, src, dst, info)
}

// makeDirectory makes dst, or takes the directory that is there. One that is made here may be written to by its owner
// until finishDirectories has given it its real mode; one that was there has the permissions that it has, and takes no
// new entries if it is read-only.
func (c *copier) makeDirectory(dst string, info fs.FileInfo) error {
	if i, ok := c.known[dst]; ok {
		c.directories[i].info = info // another source had it, and this one is later
		return nil
	}
	d := directory{path: dst, info: info}
	err := os.Mkdir(dst, info.Mode().Perm()|ownerAll)
	switch {
	case err == nil:
		d.extra = ownerAll &^ info.Mode().Perm()
		c.mu.Lock()
		c.report.Directories++
		c.changed[filepath.Dir(dst)] = struct{}{}
		c.mu.Unlock()
	case errors.Is(err, fs.ErrExist):
		old, err := os.Lstat(dst)
		if err != nil {
			return err
		}
		if !old.IsDir() {
			return fmt.Errorf("%q is there already: %w", dst, ErrNotDirectory)
		}
	default:
		return err
	}
	c.known[dst] = len(c.directories)
	c.directories = append(c.directories, d)
	return nil
}

// copyLink makes dst a symbolic link to what src links to.
func (c *copier) copyLink(src, dst string, info fs.FileInfo) error {
	if err := checkReplaceable(info, dst); err != nil {
		return err
	}
	// A link that took its own target's name would be all that is left of the two.
	if to, err := os.Stat(src); err == nil {
		if old, err := os.Lstat(dst); err == nil && sameFile(to, old) {
			return ErrSameFile
		}
	}
	to, err := os.Readlink(src)
	if err != nil {
		return err
	}
	tmp, err := inventName(dst, func(name string) error { return os.Symlink(to, name) })
	if err != nil {
		return err
	}
	var unkept error
	if c.opts.KeepTimes {
		unkept, err = c.kept(linkTimes(tmp, info))
	}
	if err == nil {
		err = os.Rename(tmp, dst)
	}
	if err != nil {
		return errors.Join(err, removeTemporary(tmp))
	}
	c.done(dst, &c.report.Links, 0)
	return unkept
}

// kind names the type of a special file.
func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "fifo"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	default:
		return "special file"
	}
}
