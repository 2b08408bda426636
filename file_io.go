package eddy

import (
	"context"
	"io"
	"os"
)

// ReadAt reads len(p) bytes from offset off on. At the end of the file it
// returns what there was and io.EOF; an empty p reads nothing. It cannot be
// abandoned unless a read deadline is set; see ReadAtContext.
//
// It is pread(2), or a read on the ring; page-cached data is copied without
// waiting for either (preadv2(2) with RWF_NOWAIT).
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	return f.ReadAtContext(context.Background(), p, off)
}

// ReadAtContext is ReadAt that ends when ctx does, even if the file system
// never answers, with an error that is ctx.Err(). p is not touched any more
// then; the kernel may go on reading into memory of the driver's. Bytes counted
// in n have been read.
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
	s := f.stops(ctx, &f.readDeadline)
	if s != nil {
		if err := s.reason(); err != nil {
			return 0, err
		}
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

// WriteAt writes p at offset off. A short count comes with an error. It cannot
// be abandoned unless a write deadline is set; see WriteAtContext. Files opened
// with os.O_APPEND refuse it.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	return f.WriteAtContext(context.Background(), p, off)
}

// WriteAtContext is WriteAt that ends when ctx does, even if the file system
// never answers. p is not read any more then, but the kernel may yet write what
// it was given of it: the file's content from off+n on, up to a mebibyte, is
// undefined after an error.
func (f *File) WriteAtContext(ctx context.Context, p []byte, off int64) (int, error) {
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
	if f.appends {
		return 0, errWriteAtInAppendMode
	}
	if off < 0 {
		return 0, &os.PathError{Op: "writeat", Path: f.name, Err: errNegativeOffset}
	}
	s := f.stops(ctx, &f.writeDeadline)
	if s != nil {
		if err := s.reason(); err != nil {
			return 0, err
		}
	}
	if f.kind == kindStream {
		return f.file.WriteAt(p, off)
	}
	return f.move(transfer{f, kindWrite, p, off}, s)
}

// Sync is fsync(2): it returns when everything written is on the device.
func (f *File) Sync() error { return f.SyncContext(context.Background()) }

// SyncContext is Sync that ends when ctx does. Whether the data is on the
// device is not known then.
func (f *File) SyncContext(ctx context.Context) error {
	if err := f.acquire("sync"); err != nil {
		return err
	}
	defer f.release()
	s := f.stops(ctx, &f.writeDeadline)
	if s == nil {
		return f.file.Sync()
	}
	err := s.reason()
	switch {
	case err != nil:
	case f.kind == kindStream:
		err = f.file.Sync()
	default:
		_, err = f.d.engine.abandonable(transfer{file: f, kind: kindSync}, *s)
	}
	return f.fail("sync", err)
}

// Read reads up to len(p) bytes at the file's own offset, which it moves. At
// the end of the file it returns 0 and io.EOF. A Read that is abandoned at its
// deadline may yet move the offset.
func (f *File) Read(p []byte) (int, error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	return f.sequential("read", transfer{f, kindRead, p, atCursor}, &f.readDeadline, (*os.File).Read)
}

// Write writes p at the file's own offset, which it moves, or at the end for
// files opened with os.O_APPEND. A short count comes with an error.
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
		return plain(f.file, t.p)
	}
	s := f.stops(context.Background(), d)
	if err := f.lockCursor(s); err != nil {
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
		f.cursor <- struct{}{}
		return nil
	}
	if err := s.reason(); err != nil {
		return err
	}
	select {
	case f.cursor <- struct{}{}:
		return nil
	case <-s.over:
		return os.ErrDeadlineExceeded
	case <-s.gone:
		return os.ErrClosed
	case <-s.down:
		return ErrShutdown
	}
}

func (f *File) unlockCursor() { <-f.cursor }

// WriteString is Write of a string.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// ReadFrom copies from r until io.EOF and returns how many bytes that was, as
// os.File.ReadFrom does: with copy_file_range(2) or splice(2) where both ends
// allow it and no write deadline is set.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if f != nil && f.kind == kindDisk && f.writeDeadline.wait() != nil {
		return io.Copy(struct{ io.Writer }{f}, r)
	}
	if other, ok := r.(*File); ok && other.acquire("read") == nil {
		defer other.release()
		r = other.file
	}
	return delegate(f, "write", func(file *os.File) (int64, error) { return file.ReadFrom(r) })
}

// WriteTo copies the rest of the file to w and returns how many bytes that
// was, as os.File.WriteTo does: with sendfile(2), splice(2) or
// copy_file_range(2) where both ends allow it and no read deadline is set.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if f != nil && f.kind == kindDisk && f.readDeadline.wait() != nil {
		return io.Copy(w, struct{ io.Reader }{f})
	}
	if other, ok := w.(*File); ok && other.acquire("write") == nil {
		defer other.release()
		w = other.file
	}
	return delegate(f, "read", func(file *os.File) (int64, error) { return file.WriteTo(w) })
}
