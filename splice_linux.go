package eddy

import (
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// splicePipe is the pipe between a socket and another one, or a file, through which
// data goes without coming to user space.
type splicePipe struct {
	read, write int
	size        int
	full        int // bytes inside
}

// maxSplice is the size a pipe is asked to have, and the most it is asked to
// take at once; the kernel may give less, pipe(7).
const maxSplice = 1 << 20

// splicePipes keeps empty pipes for the next call. The garbage collector, which
// empties it, closes the descriptors.
var splicePipes sync.Pool

func getSplicePipe() (*splicePipe, error) {
	if p, ok := splicePipes.Get().(*splicePipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	p := &splicePipe{read: fds[0], write: fds[1], size: 64 << 10}
	runtime.SetFinalizer(p, (*splicePipe).close)
	if size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, maxSplice); err == nil {
		p.size = size
	}
	return p, nil
}

// close closes both ends. A pipe with something in it cannot be kept.
func (p *splicePipe) close() {
	runtime.SetFinalizer(p, nil)
	_ = unix.Close(p.read)
	_ = unix.Close(p.write)
}

// spliceFrom writes what another socket receives, up to limit bytes, until its
// end. It reports false if it has done nothing and another way is needed.
func (s *socket) spliceFrom(r io.Reader, limit int64) (sent int64, handled bool, err error) {
	from := socketOf(r)
	if from == nil || from == s || from.kind&isStream == 0 || s.kind&isStream == 0 {
		return 0, false, nil
	}
	pipe, err := getSplicePipe()
	if err != nil {
		return 0, false, nil
	}
	sent, handled, err = from.splice(pipe, limit, s.drain)
	return sent, handled, wrapErrno("splice", err)
}

// spliceTo writes what the socket receives, up to limit bytes, until its end, to a
// regular file, from the file's own offset on. It reports false if it has done
// nothing and another way is needed. Errors of the file are *fs.PathErrors.
func (s *socket) spliceTo(w io.Writer, limit int64) (written int64, handled bool, err error) {
	file, _ := w.(*os.File)
	if f, ok := w.(*File); ok && f != nil && !f.writesEnd() && f.acquire("write") == nil {
		defer f.release()
		file = f.file
	}
	if file == nil || s.kind&isStream == 0 {
		return 0, false, nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	pipe, err := getSplicePipe()
	if err != nil {
		return 0, false, nil
	}
	if !pipe.fits(raw) {
		splicePipes.Put(pipe)
		return 0, false, nil
	}
	fail := func(err error) error { return &fs.PathError{Op: "write", Path: file.Name(), Err: err} }
	written, handled, err = s.splice(pipe, limit, func(p *splicePipe) (n int64, err error) {
		// As os.File does, with the file locked for each piece.
		if raw.Write(func(fd uintptr) bool { n, err = p.empty(int(fd)); return true }) != nil {
			return 0, fail(fs.ErrClosed)
		}
		if err != nil {
			err = fail(os.NewSyscallError("splice", err))
		}
		return n, err
	})
	return written, handled, wrapErrno("splice", err)
}

// spliceFrom is ReadFrom from a connection. It reports false if it has done nothing
// and another way is needed.
func (f *File) spliceFrom(r io.Reader) (written int64, handled bool, err error) {
	source, limit := limited(r)
	from := socketOf(source)
	if from == nil {
		return 0, false, nil
	}
	written, handled, err = from.spliceTo(f, limit)
	runtime.KeepAlive(r)
	if limit, ok := r.(*io.LimitedReader); ok {
		limit.N -= written
	}
	return written, handled, f.fail("write", err)
}

// splice moves what the socket receives, up to limit bytes, until its end, through
// the pipe, which drain empties. The pipe is given back.
func (s *socket) splice(pipe *splicePipe, limit int64, drain func(*splicePipe) (int64, error)) (moved int64, handled bool, err error) {
	for moved < limit {
		got, err := s.fill(pipe, limit-moved)
		if err == unix.EINVAL && moved == 0 {
			pipe.close()
			return 0, false, nil
		}
		if err != nil {
			pipe.close()
			return moved, true, err
		}
		if got == 0 {
			break
		}
		n, err := drain(pipe)
		moved += n
		if err != nil {
			pipe.close()
			return moved, true, err
		}
	}
	splicePipes.Put(pipe)
	return moved, true, nil
}

// socketOf is the socket behind a reader, or nil.
func socketOf(r io.Reader) *socket {
	switch r := r.(type) {
	case *socket:
		return r
	case *Conn:
		if r.ok() {
			s, _ := r.t.(*socket)
			return s
		}
	}
	return nil
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// fill moves what has arrived into the empty pipe; 0 is the end.
func (s *socket) fill(p *splicePipe, limit int64) (int, error) {
	s.reads.Lock()
	defer s.reads.Unlock()
	var n int64
	err := s.attempt(driver.Reading, func() (err error) {
		moved, err := unix.Splice(s.fd, nil, p.write, nil, int(min(limit, int64(p.size))), spliceFlags)
		n = int64(moved) // an int on 32-bit systems
		return err
	})
	p.full = int(n)
	return int(n), err
}

// drain moves all that is in the pipe out.
func (s *socket) drain(p *splicePipe) (sent int64, err error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	for p.full > 0 {
		var n int64
		err := s.attempt(driver.Writing, func() (err error) {
			moved, err := unix.Splice(p.read, nil, s.fd, nil, p.full, spliceFlags)
			n = int64(moved) // an int on 32-bit systems
			return err
		})
		if err != nil {
			return sent, err
		}
		p.full -= int(n)
		sent += n
	}
	return sent, nil
}

// fits reports whether the empty pipe can be emptied into the file: into a regular
// one, through the page cache, if its file system has splice. Where writes go to the
// end the kernel refuses, splice(2).
func (p *splicePipe) fits(file syscall.RawConn) (fits bool) {
	_ = file.Control(func(fd uintptr) {
		var stat unix.Stat_t
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err == nil && flags&unix.O_DIRECT == 0 && unix.Fstat(int(fd), &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG {
			_, err = unix.Splice(p.read, nil, int(fd), nil, 1, spliceFlags)
			fits = err == unix.EAGAIN
		}
	})
	return fits
}

// empty moves all that is in the pipe into a regular file, at the file's own offset.
func (p *splicePipe) empty(file int) (written int64, err error) {
	for p.full > 0 {
		moved, err := unix.Splice(p.read, nil, file, nil, p.full, spliceFlags)
		switch n := int64(moved); { // an int on 32-bit systems
		case err == unix.EINTR:
		case err != nil:
			return written, err
		case n == 0:
			return written, io.ErrShortWrite // it would go on for ever
		default:
			p.full -= int(n)
			written += n
		}
	}
	return written, nil
}
