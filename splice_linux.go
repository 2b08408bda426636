package eddy

import (
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// splicePipe is the pipe between two connections, or a connection and a file,
// through which data goes without coming to user space.
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

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// take fills the empty pipe with up to limit bytes of what a descriptor has;
// nothing is the end.
func (p *splicePipe) take(from int, limit int64) error {
	for {
		n, err := unix.Splice(from, nil, p.write, nil, int(min(limit, int64(p.size))), spliceFlags)
		if err != unix.EINTR {
			p.full = int(max(n, 0))
			return err
		}
	}
}

// give moves what it can of what is in the pipe to a descriptor, once.
func (p *splicePipe) give(to int) error {
	for {
		n, err := unix.Splice(p.read, nil, to, nil, p.full, spliceFlags)
		switch {
		case err == unix.EINTR:
		case err == nil && n == 0:
			return io.ErrShortWrite // it would go on for ever
		default:
			p.full -= int(max(n, 0))
			return err
		}
	}
}

// spliceSource is what a pipe can be filled from.
type spliceSource interface {
	// fill fills the empty pipe with up to limit bytes; nothing is the end.
	fill(p *splicePipe, limit int64) error
}

// spliceTarget is what a pipe can be emptied into.
type spliceTarget interface {
	// takes reports whether it can be, which an empty pipe tells.
	takes(p *splicePipe) bool

	// drain empties the pipe.
	drain(p *splicePipe) error
}

// splice moves up to limit bytes, until the source's end. It reports false if it has
// done nothing and another way is needed.
func splice(from spliceSource, to spliceTarget, limit int64) (moved int64, handled bool, err error) {
	pipe, err := getSplicePipe()
	if err != nil {
		return 0, false, nil
	}
	if !to.takes(pipe) {
		splicePipes.Put(pipe)
		return 0, false, nil
	}
	for moved < limit {
		err := from.fill(pipe, limit-moved)
		got := pipe.full
		if err == nil && got == 0 {
			break
		}
		if err == nil {
			err = to.drain(pipe)
			moved += int64(got - pipe.full)
		}
		if err != nil {
			pipe.close()
			return moved, got > 0 || moved > 0 || err != unix.EINVAL, wrapErrno("splice", err)
		}
	}
	splicePipes.Put(pipe)
	return moved, true, nil
}

// fill implements spliceSource.
func (s *socket) fill(p *splicePipe, limit int64) error {
	s.reads.Lock()
	defer s.reads.Unlock()
	return s.attempt(driver.Reading, func() error { return p.take(s.fd, limit) })
}

// takes implements spliceTarget.
func (s *socket) takes(*splicePipe) bool { return true }

// drain implements spliceTarget.
func (s *socket) drain(p *splicePipe) (err error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	for p.full > 0 && err == nil {
		err = s.attempt(driver.Writing, func() error { return p.give(s.fd) })
	}
	return err
}

// spliceFrom writes what another connection receives, up to limit bytes, until its
// end. It reports false if it has done nothing and another way is needed.
func (s *socket) spliceFrom(r io.Reader, limit int64) (sent int64, handled bool, err error) {
	if s.kind&isStream == 0 {
		return 0, false, nil
	}
	if from := socketOf(r); from != nil && from != s && from.kind&isStream != 0 {
		return splice(from, s, limit)
	}
	if from := stdStreamOf(r); from != nil {
		return splice(from, s, limit)
	}
	return 0, false, nil
}

// spliceTo writes what the socket receives, up to limit bytes, until its end, to a
// connection of package net or to a regular file, from the file's own offset on. It
// reports false if it has done nothing and another way is needed.
func (s *socket) spliceTo(w io.Writer, limit int64) (written int64, handled bool, err error) {
	if s.kind&isStream == 0 {
		return 0, false, nil
	}
	if to := stdStreamOf(w); to != nil {
		return splice(s, to, limit)
	}
	if f, ok := w.(*File); ok {
		return f.splice(s, limit)
	}
	if to := plainFileOf(w); to != nil {
		return splice(s, to, limit)
	}
	return 0, false, nil
}

// spliceFrom is ReadFrom from a connection. It reports false if it has done nothing
// and another way is needed.
func (f *File) spliceFrom(r io.Reader) (written int64, handled bool, err error) {
	source, limit := limited(r)
	if from := socketOf(source); from != nil && from.kind&isStream != 0 {
		written, handled, err = f.splice(from, limit)
	} else if from := stdStreamOf(source); from != nil {
		written, handled, err = f.splice(from, limit)
	}
	runtime.KeepAlive(r)
	if limit, ok := r.(*io.LimitedReader); ok {
		limit.N -= written
	}
	return written, handled, f.fail("write", err)
}

// splice writes what a connection receives, up to limit bytes, until its end, from
// the file's own offset on. It reports false if it has done nothing and another way
// is needed.
func (f *File) splice(from spliceSource, limit int64) (written int64, handled bool, err error) {
	if f == nil || f.writesEnd() || f.acquire("write") != nil {
		return 0, false, nil // Write tells
	}
	to := plainFileOf(f.file)
	f.release()
	if to == nil {
		return 0, false, nil
	}
	return splice(from, &spliceFile{f, to}, limit)
}

// spliceFile is a File as a target. It can be closed, or given a deadline, while the
// source has nothing.
type spliceFile struct {
	*File
	plain *plainFile
}

// takes implements spliceTarget.
func (f *spliceFile) takes(p *splicePipe) bool { return f.plain.takes(p) }

// drain implements spliceTarget.
func (f *spliceFile) drain(p *splicePipe) error {
	if err := f.acquire("write"); err != nil {
		return err
	}
	defer f.release()
	if !f.writesEnd() {
		return f.plain.drain(p)
	}
	buf := make([]byte, p.full) // what a splice waits for cannot be abandoned
	n, err := unix.Read(p.read, buf)
	if err != nil {
		return os.NewSyscallError("read", err)
	}
	written, err := f.Write(buf[:n])
	p.full -= written
	return err
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
