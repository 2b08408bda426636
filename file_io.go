package eddy

import (
	"context"
	"errors"
	"io"
	"os"
)

// ReadAt reads len(p) bytes at offset off. At the end of the file it returns
// what there was, and io.EOF; with an empty p it reads nothing. It cannot be
// abandoned unless a read deadline is set; see [File.ReadAtContext].
//
// It is pread(2), or a read on the ring. Page-cached data is copied without
// waiting for either: preadv2(2) with RWF_NOWAIT.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	return f.ReadAtContext(context.Background(), p, off)
}

// ReadAtContext is [File.ReadAt], except that it also returns when ctx ends,
// even if the file system never answers. The error is then an *fs.PathError
// around ctx.Err(). The bytes counted in n have been read, and p is not written
// to any more; the kernel may go on reading into a buffer that the driver owns.
func (f *File) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.acquire("read"); err != nil {
		return 0, err
	}
	n, err := f.readAt(ctx, p, off)
	f.release()
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, f.fail("read", err)
}

func (f *File) readAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, &os.PathError{Op: "readat", Path: f.name, Err: errNegativeOffset}
	}
	s, err := f.stops(ctx, &f.readDeadline)
	if err != nil {
		return 0, err
	}
	switch f.kind {
	case kindStream:
		return f.file.ReadAt(p, off)
	case kindDisk:
		if n = f.inline(p, off); n == len(p) {
			return n, nil
		}
	}
	m, err := f.move(transfer{f, kindRead, p[n:], off + int64(n)}, s)
	return n + m, err
}

// WriteAt writes len(p) bytes at offset off. A short count always comes with an
// error. It cannot be abandoned unless a write deadline is set; see
// [File.WriteAtContext]. It fails for files opened with os.O_APPEND.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	return f.WriteAtContext(context.Background(), p, off)
}

// WriteAtContext is [File.WriteAt], except that it also returns when ctx ends,
// even if the file system never answers. The error is then an *fs.PathError
// around ctx.Err(). p is not read any more, but the kernel may still write what
// it was given: after an error the file's content is undefined from off+n on,
// for at most 1 MiB.
func (f *File) WriteAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if f != nil && f.appends {
		return 0, errWriteAtInAppendMode // as os: without a PathError
	}
	if err := f.acquire("write"); err != nil {
		return 0, err
	}
	n, err := f.writeAt(ctx, p, off)
	f.release()
	if err == nil {
		return n, nil
	}
	return n, f.fail("write", err)
}

func (f *File) writeAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &os.PathError{Op: "writeat", Path: f.name, Err: errNegativeOffset}
	}
	s, err := f.stops(ctx, &f.writeDeadline)
	if err != nil {
		return 0, err
	}
	if f.kind == kindStream {
		return f.file.WriteAt(p, off)
	}
	return f.move(transfer{f, kindWrite, p, off}, s)
}

// Sync returns when everything written to the file is on the device: fsync(2).
func (f *File) Sync() error { return f.SyncContext(context.Background()) }

// SyncContext is [File.Sync], except that it also returns when ctx ends. It is
// not known then whether the data is on the device.
func (f *File) SyncContext(ctx context.Context) error {
	if err := f.acquire("sync"); err != nil {
		return err
	}
	defer f.release()
	s, err := f.stops(ctx, &f.writeDeadline)
	if s == nil {
		return f.file.Sync()
	}
	switch {
	case err != nil:
	case f.kind == kindStream:
		err = f.file.Sync()
	default:
		_, err = f.d.engine.abandonable(transfer{file: f, kind: kindSync}, s)
	}
	return f.fail("sync", err)
}

// Read reads up to len(p) bytes at the file's own offset, and advances it. At
// the end of the file it returns 0 and io.EOF. A Read that was abandoned at its
// deadline may still advance the offset afterwards.
func (f *File) Read(p []byte) (int, error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	return f.sequential("read", transfer{f, kindRead, p, atCursor}, &f.readDeadline, (*os.File).Read)
}

// Write writes len(p) bytes at the file's own offset, and advances it; for
// files opened with os.O_APPEND, it writes at the end. A short count always
// comes with an error.
func (f *File) Write(p []byte) (int, error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	return f.sequential("write", transfer{f, kindWrite, p, atCursor}, &f.writeDeadline, (*os.File).Write)
}

// sequential does a transfer at the file's own offset, one at a time. Without
// a deadline that is what a plain system call is for.
func (f *File) sequential(op string, t transfer, d *deadline, plain func(*os.File, []byte) (int, error)) (int, error) {
	if err := f.acquire(op); err != nil {
		return 0, err
	}
	defer f.release()
	if f.kind == kindStream {
		n, err := plain(f.file, t.p)
		return n, f.woken(op, err)
	}
	s, err := f.stops(context.Background(), d)
	if err == nil {
		err = f.lockCursor(s)
	}
	if err != nil {
		return 0, f.fail(op, err)
	}
	defer f.unlockCursor()
	if s == nil || len(t.p) == 0 { // a transfer of nothing checks the mode, and never waits
		return plain(f.file, t.p)
	}
	n, err := f.move(t, s)
	return n, f.fail(op, err)
}

// lockCursor takes the file's own offset, or returns why it was not worth
// waiting for it any longer.
func (f *File) lockCursor(s *stops) error {
	if s == nil {
		<-f.cursor
		return nil
	}
	return s.wait(f.cursor)
}

func (f *File) unlockCursor() { f.cursor <- struct{}{} }

// WriteString writes the bytes of s, like Write.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// ReadFrom copies from r until io.EOF and returns the number of bytes copied,
// like os.File.ReadFrom. It uses copy_file_range(2) if r is a regular file (*os.File
// or *File), and splice(2) if r is a *Conn or a TCP or Unix connection of package
// net, either also inside an *io.LimitedReader, both ends allow it, and no write
// deadline is set. What comes from a *Conn of the portable backend is read and
// written.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if f.writesEnd() {
		return io.Copy(onlyWriter{f}, r)
	}
	if n, handled, err := f.spliceFrom(r); handled {
		return n, err
	}
	return lending(r, func(r io.Reader) (int64, error) {
		source, _ := limited(r)
		if f != nil && f.kind != kindStream && !isRegular(source) {
			return io.Copy(onlyWriter{f}, r) // which Close ends, however long r takes
		}
		return delegate(f, "write", func(file *os.File) (int64, error) { return file.ReadFrom(r) })
	})
}

// WriteTo copies the rest of the file to w and returns the number of bytes
// copied, like os.File.WriteTo. It uses sendfile(2), splice(2) or
// copy_file_range(2) if both ends allow it and no read deadline is set.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if f.readsEnd() {
		return io.Copy(w, onlyReader{f})
	}
	if other, ok := w.(*File); ok && !other.writesEnd() && other.acquire("write") == nil {
		defer other.release()
		w = other.file
	}
	return delegate(f, "read", func(file *os.File) (int64, error) { return file.WriteTo(w) })
}

// readsEnd reports whether reads have a deadline that os.File knows nothing of.
func (f *File) readsEnd() bool {
	return f != nil && f.kind != kindStream && f.readDeadline.wait() != nil
}

// writesEnd is readsEnd for writes.
func (f *File) writesEnd() bool {
	return f != nil && f.kind != kindStream && f.writeDeadline.wait() != nil
}

// move repeats transfers until p is through, and returns how much that was.
// The caller holds a reference.
func (f *File) move(t transfer, s *stops) (n int, err error) {
	p, most := t.p, maxTransfer
	if s != nil && !(t.off == atCursor && t.file.appends) { // records of several writers would get mixed up
		most = maxOwned
	}
	for len(p) > 0 {
		t.p = p[:min(len(p), most)]
		var m int
		if s == nil {
			m, err = f.d.engine.transfer(t)
		} else if err = s.reason(); err == nil {
			m, err = f.d.engine.abandonable(t, s)
		}
		n += m
		p = p[m:]
		if t.off != atCursor {
			t.off += int64(m)
		}
		switch {
		case err != nil:
			return n, err
		case m == 0 && t.kind == kindRead:
			return n, io.EOF
		case m == 0:
			return n, io.ErrUnexpectedEOF
		case t.off == atCursor && t.kind == kindRead:
			return n, nil // Read returns what one call gives
		}
	}
	return n, nil
}

var errNegativeOffset = errors.New("negative offset")

var errWriteAtInAppendMode = errors.New("os: invalid use of WriteAt on file opened with O_APPEND")
