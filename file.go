package eddy

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"weak"
)

// A File is an open file. It has the methods of *os.File, with the same errors,
// and more: operations that can be abandoned, by a context or a deadline, even
// if the file system never answers; batches of reads and writes; and, where io_uring is in
// use, many operations at once without a thread for each.
//
// All methods may be called concurrently, Close included. ReadAt, WriteAt and
// their relatives run in parallel. Read, Write and Seek, which share the file's
// own offset, take turns.
//
// Memory: a method that takes a []byte uses it until it returns and never
// after, even if the operation was abandoned.
type File struct {
	d       *Driver
	file    *os.File // owns the descriptor
	fd      int
	name    string
	kind    fileKind
	appends bool // opened with O_APPEND
	traits

	refs   references
	gone   chan struct{} // closed by Close
	cursor chan struct{} // capacity 1: empty while somebody uses the file's own offset

	readDeadline  deadline
	writeDeadline deadline

	dropped runtime.Cleanup // counts it out if it is never closed
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

// unknownFlags stands for the flags of a file that somebody else has opened.
const unknownFlags = -1

// newFile wraps an open file, which is the File's from here on. flags are what it
// was opened with.
func (d *Driver) newFile(f *os.File, flags int) *File {
	file := &File{d: d, file: f, name: f.Name(), gone: make(chan struct{}), cursor: make(chan struct{}, 1)}
	file.unlockCursor()
	file.inspect(flags)
	d.metrics.files.Add(1)
	if file.kind == kindStream {
		d.streams.add(file)
	}
	file.dropped = runtime.AddCleanup(file, func(open *atomic.Int64) { open.Add(-1) }, &d.metrics.files)
	return file
}

// Name returns the name that the file was opened with.
func (f *File) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// Close makes the file unusable. Operations in progress finish, except those
// that can be abandoned, which end with fs.ErrClosed. The descriptor is closed
// when the last operation has ended, so its number cannot be reused under an
// operation. Close does not wait for that. The error is that of close(2) if no
// operation was in progress; a second Close returns fs.ErrClosed.
func (f *File) Close() error {
	if f == nil {
		return os.ErrInvalid
	}
	last, ok := f.refs.close()
	if !ok {
		return f.fail("close", os.ErrClosed)
	}
	close(f.gone)
	f.dropped.Stop()
	f.d.metrics.files.Add(-1)
	if f.kind == kindStream {
		f.d.streams.remove(weak.Make(f))
	}
	f.readDeadline.stop()
	f.writeDeadline.stop()
	switch {
	case last || f.kind == kindStream && !f.isBare():
		return f.file.Close()
	case f.kind == kindStream:
		// As os.File's after Fd: who reads does so in the kernel, and cannot be woken.
		go func() { _ = f.file.Close() }()
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
	result, err := call(f.file)
	return result, f.woken(op, err)
}

// delegateErr is delegate for methods that return an error only.
func delegateErr(f *File, op string, call func(*os.File) error) error {
	_, err := delegate(f, op, func(file *os.File) (struct{}, error) { return struct{}{}, call(file) })
	return err
}

// Stat returns information about the file: fstat(2).
func (f *File) Stat() (fs.FileInfo, error) {
	return delegate(f, "stat", (*os.File).Stat)
}

// Truncate changes the size of the file, in bytes: ftruncate(2).
func (f *File) Truncate(size int64) error {
	return delegateErr(f, "truncate", func(file *os.File) error { return file.Truncate(size) })
}

// Chmod changes the mode of the file: fchmod(2).
func (f *File) Chmod(mode fs.FileMode) error {
	return delegateErr(f, "chmod", func(file *os.File) error { return file.Chmod(mode) })
}

// Chown changes the owner and group of the file: fchown(2). -1 leaves either as
// it is.
func (f *File) Chown(uid, gid int) error {
	return delegateErr(f, "chown", func(file *os.File) error { return file.Chown(uid, gid) })
}

// Chdir makes the file, which must be a directory, the working directory of the
// process: fchdir(2).
func (f *File) Chdir() error { return delegateErr(f, "chdir", (*os.File).Chdir) }

// ReadDir reads entries of a directory, like os.File.ReadDir.
func (f *File) ReadDir(n int) ([]fs.DirEntry, error) {
	return delegate(f, "readdir", func(file *os.File) ([]fs.DirEntry, error) { return file.ReadDir(n) })
}

// Readdir reads entries of a directory, like os.File.Readdir.
func (f *File) Readdir(n int) ([]fs.FileInfo, error) {
	return delegate(f, "readdir", func(file *os.File) ([]fs.FileInfo, error) { return file.Readdir(n) })
}

// Readdirnames reads names of entries of a directory, like
// os.File.Readdirnames.
func (f *File) Readdirnames(n int) ([]string, error) {
	return delegate(f, "readdirnames", func(file *os.File) ([]string, error) { return file.Readdirnames(n) })
}

// Seek sets the offset of the next Read or Write, in bytes, like os.File.Seek.
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

// SyscallConn gives access to the descriptor, like os.File.SyscallConn.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	return delegate(f, "syscallconn", (*os.File).SyscallConn)
}

// Fd returns the number of the file's descriptor, like os.File.Fd. It is valid
// until Close. For a closed file the result is ^uintptr(0), which is not a
// descriptor.
func (f *File) Fd() uintptr {
	fd, err := delegate(f, "fd", func(file *os.File) (uintptr, error) { return f.bare(file.Fd()), nil })
	if err != nil {
		return ^uintptr(0)
	}
	return fd
}

// SetDeadline sets the read deadline and the write deadline.
func (f *File) SetDeadline(t time.Time) error {
	if err := f.SetReadDeadline(t); err != nil {
		return err
	}
	return f.SetWriteDeadline(t)
}

// SetReadDeadline makes reads that have not ended at time t fail with
// os.ErrDeadlineExceeded. The zero time means no deadline.
//
// Unlike those of os.File, deadlines also work for regular files. There, moving
// a deadline affects reads in progress too, except reads that began when no
// deadline was set: they cannot be abandoned and ignore one that is set later.
func (f *File) SetReadDeadline(t time.Time) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.setDeadline(&f.readDeadline, t, (*os.File).SetReadDeadline)
}

// SetWriteDeadline is [File.SetReadDeadline] for writes and Sync.
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
		err := stream(f.file, t)
		if f.d.down.Load() { // it may just have taken the shutdown's deadline away
			f.endWaits()
		}
		return err
	}
	d.set(t)
	return nil
}
