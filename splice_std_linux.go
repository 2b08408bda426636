package eddy

import (
	"io/fs"
	"net"
	"os"
	"reflect"
	"syscall"

	"golang.org/x/sys/unix"
)

// stdStream is a connection of package net, of which data can be spliced.
type stdStream struct{ raw syscall.RawConn }

// stdStreamOf is the connection behind a reader or a writer, or nil. It must be
// package net's own: what embeds one may do more than read and write. io.Copy brings
// one of an unexported type, which hides TCPConn's WriteTo.
func stdStreamOf(what any) *stdStream {
	c, ok := what.(interface {
		net.Conn
		syscall.Conn
	})
	if !ok || !isStd(reflect.TypeOf(c)) {
		return nil
	}
	switch local := c.LocalAddr().(type) {
	case *net.TCPAddr:
	case *net.UnixAddr:
		if local.Net != "unix" {
			return nil
		}
	default:
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return &stdStream{raw}
}

// isStd reports whether a type, or what it points to, is package net's.
func isStd(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "net"
}

// fill implements spliceSource.
func (c *stdStream) fill(p *splicePipe, limit int64) (err error) {
	failed := c.raw.Read(func(fd uintptr) bool {
		err = p.take(int(fd), limit)
		return err != unix.EAGAIN
	})
	if failed != nil {
		return failed
	}
	return err
}

// takes implements spliceTarget.
func (c *stdStream) takes(*splicePipe) bool { return true }

// drain implements spliceTarget.
func (c *stdStream) drain(p *splicePipe) (err error) {
	for p.full > 0 && err == nil {
		failed := c.raw.Write(func(fd uintptr) bool {
			err = p.give(int(fd))
			return err != unix.EAGAIN
		})
		if failed != nil {
			return failed
		}
	}
	return err
}

// plainFile is a regular file that is written through the page cache. Its errors are
// *fs.PathErrors.
type plainFile struct {
	raw  syscall.RawConn
	name string
}

// plainFileOf is the file behind a writer, or nil.
func plainFileOf(what any) *plainFile {
	file, ok := what.(*os.File)
	if !ok {
		return nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil
	}
	plain := false
	_ = raw.Control(func(fd uintptr) {
		var stat unix.Stat_t
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		plain = err == nil && flags&unix.O_DIRECT == 0 &&
			unix.Fstat(int(fd), &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG
	})
	if !plain {
		return nil
	}
	return &plainFile{raw, file.Name()}
}

// takes implements spliceTarget. Some file systems have no splice, nor has a file
// that is written at its end only: EINVAL, splice(2).
func (f *plainFile) takes(p *splicePipe) (takes bool) {
	_ = f.raw.Control(func(fd uintptr) {
		_, err := unix.Splice(p.read, nil, int(fd), nil, 1, spliceFlags)
		takes = err == unix.EAGAIN // there was nothing
	})
	return takes
}

// drain implements spliceTarget. The file is locked for each piece, as for a Write.
func (f *plainFile) drain(p *splicePipe) (err error) {
	closed := f.raw.Write(func(fd uintptr) bool {
		for p.full > 0 && err == nil {
			err = p.give(int(fd))
		}
		return true
	})
	if closed != nil {
		err = fs.ErrClosed
	}
	return f.fail(wrapErrno("splice", err))
}

// fail says what std would, nothing of no error.
func (f *plainFile) fail(err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "write", Path: f.name, Err: err}
}
