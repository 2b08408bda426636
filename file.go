package eddy

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// File is an open file. It does what *os.File does, in the same words and with
// the same errors, and more: operations that can be abandoned, by a context or
// a deadline, even if the file system never answers; batches of reads; and,
// where io_uring is in use, many operations at once without a thread for each.
//
// All methods may be called concurrently, Close included. Reads and writes at
// an offset run in parallel; Read, Write and Seek, which share the file's own
// offset, take turns.
//
// Memory: a method that takes a []byte uses it until it returns and never
// after, whatever became of the operation.
type File struct {
	d       *Driver
	file    *os.File // owns the descriptor
	fd      int
	name    string
	kind    fileKind
	appends bool // opened with O_APPEND
	blocks  bool // a ring must not try requests on the submitting thread

	refs   references
	gone   chan struct{} // closed by Close
	cursor chan struct{} // capacity 1: full while somebody uses the file's own offset

	readDeadline  deadline
	writeDeadline deadline

	nowait atomic.Int32 // reads worth trying without waiting; see inline.go
}

// fileKind says who looks after the waiting.
type fileKind uint8

const (
	kindDisk   fileKind = iota // regular files, block devices: us
	kindDirect                 // the same, opened with O_DIRECT
	kindStream                 // pipes, sockets, terminals: std's poller, through os.File
)

// These are what a Go program expects of a file.
var (
	_ io.ReadWriteSeeker = (*File)(nil)
	_ io.ReaderAt        = (*File)(nil)
	_ io.WriterAt        = (*File)(nil)
	_ io.ReaderFrom      = (*File)(nil)
	_ io.WriterTo        = (*File)(nil)
	_ io.StringWriter    = (*File)(nil)
	_ fs.ReadDirFile     = (*File)(nil)
	_ syscall.Conn       = (*File)(nil)
)

// newFile wraps an open file, which is the File's from here on.
func (d *Driver) newFile(f *os.File) *File {
	file := &File{d: d, file: f, name: f.Name(), gone: make(chan struct{}), cursor: make(chan struct{}, 1)}
	file.inspect()
	file.nowait.Store(inlineStart)
	d.metrics.files.Add(1)
	return file
}

// Name is the name the file was opened with.
func (f *File) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// Close makes the file unusable. Operations under way finish, but for those
// that can be abandoned, which end with fs.ErrClosed; the descriptor is closed
// when the last of them has left, so its number cannot pass to another file
// under an operation's feet. An error is that of close(2), if nobody else was
// using the file, or fs.ErrClosed the second time.
func (f *File) Close() error {
	if f == nil {
		return os.ErrInvalid
	}
	last, ok := f.refs.close()
	if !ok {
		return f.fail("close", os.ErrClosed)
	}
	close(f.gone)
	f.d.metrics.files.Add(-1)
	f.readDeadline.stop()
	f.writeDeadline.stop()
	if last || f.kind == kindStream {
		return f.file.Close()
	}
	return nil
}

// acquire takes a reference that keeps the descriptor open.
func (f *File) acquire(op string) error {
	if f == nil {
		return os.ErrInvalid
	}
	if !f.refs.acquire() {
		return f.fail(op, os.ErrClosed)
	}
	if f.d.down.Load() {
		f.release()
		return f.fail(op, ErrShutdown)
	}
	return nil
}

// release gives a reference back.
func (f *File) release() {
	if f.refs.release() && f.kind != kindStream {
		// Close has returned long ago; on Linux the number is free whatever
		// close(2) says, and a write error is what Sync is for.
		_ = f.file.Close()
	}
}

// releaseLater is release for those who must not block: closing a file takes
// as long as its file system likes.
func (f *File) releaseLater() {
	if f.refs.release() && f.kind != kindStream {
		go func() { _ = f.file.Close() }() // as in release
	}
}

// fail wraps an error as os.File does; io.EOF and nil stay bare.
func (f *File) fail(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var already *fs.PathError
	if errors.As(err, &already) {
		return err
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// delegate calls a method of os.File under a reference.
func delegate[T any](f *File, op string, call func(*os.File) (T, error)) (T, error) {
	if err := f.acquire(op); err != nil {
		var zero T
		return zero, err
	}
	defer f.release()
	return call(f.file)
}

// delegateErr is delegate for methods that return an error only.
func delegateErr(f *File, op string, call func(*os.File) error) error {
	_, err := delegate(f, op, func(file *os.File) (struct{}, error) { return struct{}{}, call(file) })
	return err
}

// Stat is fstat(2).
func (f *File) Stat() (fs.FileInfo, error) {
	return delegate(f, "stat", (*os.File).Stat)
}

// Truncate is ftruncate(2): it changes the size, in bytes.
func (f *File) Truncate(size int64) error {
	return delegateErr(f, "truncate", func(file *os.File) error { return file.Truncate(size) })
}

// Chmod is fchmod(2).
func (f *File) Chmod(mode fs.FileMode) error {
	return delegateErr(f, "chmod", func(file *os.File) error { return file.Chmod(mode) })
}

// Chown is fchown(2).
func (f *File) Chown(uid, gid int) error {
	return delegateErr(f, "chown", func(file *os.File) error { return file.Chown(uid, gid) })
}

// Chdir is fchdir(2).
func (f *File) Chdir() error { return delegateErr(f, "chdir", (*os.File).Chdir) }

// ReadDir reads entries of a directory, as os.File.ReadDir does.
func (f *File) ReadDir(n int) ([]fs.DirEntry, error) {
	return delegate(f, "readdir", func(file *os.File) ([]fs.DirEntry, error) { return file.ReadDir(n) })
}

// Readdir reads entries of a directory, as os.File.Readdir does.
func (f *File) Readdir(n int) ([]fs.FileInfo, error) {
	return delegate(f, "readdir", func(file *os.File) ([]fs.FileInfo, error) { return file.Readdir(n) })
}

// Readdirnames reads names of a directory, as os.File.Readdirnames does.
func (f *File) Readdirnames(n int) ([]string, error) {
	return delegate(f, "readdirnames", func(file *os.File) ([]string, error) { return file.Readdirnames(n) })
}

// Seek sets the offset of the next Read or Write, as os.File.Seek does.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	if err := f.acquire("seek"); err != nil {
		return 0, err
	}
	defer f.release()
	if err := f.lockCursor(nil); err != nil {
		return 0, err
	}
	defer f.unlockCursor()
	return f.file.Seek(offset, whence)
}

// SyscallConn gives access to the descriptor, as os.File.SyscallConn does.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	return delegate(f, "syscallconn", (*os.File).SyscallConn)
}

// Fd is the descriptor's number, as of os.File.Fd. It is valid until Close;
// of a closed file it is ^uintptr(0), which is no descriptor.
func (f *File) Fd() uintptr {
	fd, err := delegate(f, "fd", func(file *os.File) (uintptr, error) { return file.Fd(), nil })
	if err != nil {
		return ^uintptr(0)
	}
	return fd
}

// SetDeadline sets both deadlines; see SetReadDeadline.
func (f *File) SetDeadline(t time.Time) error {
	if err := f.SetReadDeadline(t); err != nil {
		return err
	}
	return f.SetWriteDeadline(t)
}

// SetReadDeadline makes reads that have not ended by t fail with
// os.ErrDeadlineExceeded; the zero time means never. Unlike with os.File,
// regular files have deadlines too. There, a deadline that is moved applies to
// reads under way as well, but a read that was begun while there was none
// cannot be abandoned and does not see one that is set later.
func (f *File) SetReadDeadline(t time.Time) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.setDeadline(&f.readDeadline, t, (*os.File).SetReadDeadline)
}

// SetWriteDeadline is SetReadDeadline for writes and Sync.
func (f *File) SetWriteDeadline(t time.Time) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.setDeadline(&f.writeDeadline, t, (*os.File).SetWriteDeadline)
}

func (f *File) setDeadline(d *deadline, t time.Time, stream func(*os.File, time.Time) error) error {
	if err := f.acquire("set deadline"); err != nil {
		return err
	}
	defer f.release()
	if f.kind == kindStream {
		return stream(f.file, t)
	}
	d.set(t)
	return nil
}
