package copytree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/eddyio/eddy"
)

// What can happen to a source between the moment it is opened and the end of its copy.
var (
	ErrShrank   = errors.New("source shrank while it was copied")
	ErrReplaced = errors.New("source was replaced while it was copied")
)

// copyFile copies the regular file src, of which lstat said info, and returns its size. unkept is an [UnkeptError] of a
// copy that is complete otherwise.
func (c *copier) copyFile(ctx context.Context, src, dst string, info fs.FileInfo) (size int64, unkept, err error) {
	if err := checkReplaceable(info, dst); err != nil {
		return 0, nil, err
	}
	in, err := c.opts.Driver.Open(src)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	opened, err := in.Stat()
	if err != nil {
		return 0, nil, err
	}
	if !opened.Mode().IsRegular() || !sameFile(opened, info) {
		return 0, nil, ErrReplaced
	}
	out, tmp, err := c.createTemporary(dst, opened.Mode().Perm())
	if err != nil {
		return 0, nil, err
	}
	size, err = c.copyContents(ctx, in, out, opened)
	if err == nil {
		unkept, err = c.finishFile(ctx, out, tmp, opened)
	} else {
		_ = out.Close() // the first error is the one that matters
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = os.Rename(tmp, dst)
	}
	if err != nil {
		if removing := removeTemporary(tmp); removing != nil {
			err = errors.Join(err, removing)
		}
		return 0, nil, err
	}
	return size, unkept, nil
}

func (c *copier) createTemporary(dst string, perm fs.FileMode) (out *eddy.File, path string, err error) {
	if c.opts.KeepMode {
		perm = 0o600 // nobody else reads it before it has its own mode
	}
	path, err = inventName(dst, func(name string) error {
		out, err = c.opts.Driver.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		return err
	})
	return out, path, err
}

// finishFile gives out what it needs before it may have its name, and closes it.
func (c *copier) finishFile(ctx context.Context, out *eddy.File, tmp string, opened fs.FileInfo) (unkept, err error) {
	var alsoUnkept error
	if c.opts.KeepMode {
		unkept, err = c.kept(os.Chmod(tmp, opened.Mode().Perm()))
	}
	if err == nil && c.opts.Sync {
		err = out.SyncContext(ctx)
	}
	// Before the rename: some systems do not rename open files. Before the times: a close sets that of the last write on
	// some.
	err = earlier(err, out.Close())
	if err == nil && c.opts.KeepTimes {
		alsoUnkept, err = c.kept(os.Chtimes(tmp, accessTime(opened), opened.ModTime()))
	}
	return earlier(unkept, alsoUnkept), err
}

// copyContents copies the data of in, of which fstat said opened, and leaves its holes out.
func (c *copier) copyContents(ctx context.Context, in, out *eddy.File, opened fs.FileInfo) (int64, error) {
	size := opened.Size()
	if size == 0 {
		return c.copyUnsized(ctx, in, out)
	}
	end, err := c.copyExtents(ctx, in, out, opened)
	if err != nil {
		return 0, err
	}
	now, err := in.Stat()
	if err != nil {
		return 0, err
	}
	if now.Size() < size {
		return 0, ErrShrank
	}
	if end < size { // the source ends in a hole
		if err := out.Truncate(size); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// copyExtents copies each extent of data in chunks, as many at a time as there are buffers, and returns where the
// last one ended.
func (c *copier) copyExtents(ctx context.Context, in, out *eddy.File, opened fs.FileInfo) (end int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var chunks sync.WaitGroup
	for e, err := range extents(in, opened) {
		if err != nil {
			cancel(err)
			break
		}
		c.opts.Progress.Bytes.Add(e.start - end)
		end = e.end
		for off := e.start; off < e.end; off += int64(c.opts.ChunkSize) {
			buf, err := c.buffer(ctx)
			if err != nil {
				break
			}
			length := min(e.end-off, int64(c.opts.ChunkSize))
			chunks.Go(func() {
				defer func() { c.buffers <- buf }()
				if err := copyChunk(ctx, in, out, buf[:length], off); err != nil {
					cancel(err)
					return
				}
				c.opts.Progress.Bytes.Add(length)
			})
		}
		if ctx.Err() != nil {
			break
		}
	}
	chunks.Wait()
	c.opts.Progress.Bytes.Add(opened.Size() - end)
	return end, context.Cause(ctx)
}

// copyChunk fills buf from offset off of in and writes it to the same place of out.
func copyChunk(ctx context.Context, in, out *eddy.File, buf []byte, off int64) error {
	n, err := in.ReadAtContext(ctx, buf, off)
	if n < len(buf) {
		if err == nil || errors.Is(err, io.EOF) {
			return endedEarly(in, off+int64(n), off+int64(len(buf)))
		}
		return err
	}
	_, err = out.WriteAtContext(ctx, buf, off)
	return err
}

// endedEarly explains a read of in that found its end at byte at, though it was longer when it was opened.
func endedEarly(in *eddy.File, at, expected int64) error {
	now, err := in.Stat()
	if err == nil && now.Size() >= expected {
		return fmt.Errorf("source ends after %d bytes but reports a size of %d: it is being rewritten, or it is not a "+
			"real file (as in /sys)", at, now.Size())
	}
	return ErrShrank
}

// copyUnsized copies a file whose size is given as 0, to its end. Nearly all of those are empty; the files of /proc are
// not, and go on giving 0. One that has a size by now was empty when it was opened, which is what is copied: it could
// grow for ever.
func (c *copier) copyUnsized(ctx context.Context, in, out *eddy.File) (int64, error) {
	buf, err := c.buffer(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { c.buffers <- buf }()
	for off := int64(0); ; {
		n, err := in.ReadAtContext(ctx, buf, off)
		if n > 0 && off == 0 {
			if now, err := in.Stat(); err != nil || now.Size() > 0 {
				return 0, err
			}
		}
		if n > 0 {
			if _, err := out.WriteAtContext(ctx, buf[:n], off); err != nil {
				return 0, err
			}
			off += int64(n)
			c.opts.Progress.Bytes.Add(int64(n))
		}
		if errors.Is(err, io.EOF) || (err == nil && n == 0) {
			return off, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
