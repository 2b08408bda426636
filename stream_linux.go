package eddy

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/sys"
)

// maxVector is the most buffers one writev(2) takes, UIO_MAXIOV.
const maxVector = 1024

// writeBuffers implements transport.
func (s *socket) writeBuffers(v *net.Buffers) (sent int64, err error) {
	s.writes.Lock()
	left := 0
	for _, b := range *v {
		sys.KernelReads(b)
		left += len(b)
	}
	if left == 0 { // like std, say whether it could be written, and leave empty buffers
		err = s.repeat(driver.Writing, true, func() error { return nil })
	}
	for left > 0 && err == nil {
		var n int
		err = s.attempt(driver.Writing, func() (err error) {
			n, err = unix.Writev(s.fd, (*v)[:min(len(*v), maxVector)])
			return err
		})
		if err == nil {
			sent += int64(n)
			left -= n
			consume(v, n)
		}
	}
	s.writes.Unlock()
	return sent, s.fail("writev", wrapErrno("writev", err))
}

// consume takes n bytes, and empty buffers, off the front.
func consume(v *net.Buffers, n int) {
	for len(*v) > 0 && n >= len((*v)[0]) {
		n -= len((*v)[0])
		(*v)[0] = nil
		*v = (*v)[1:]
	}
	if n > 0 {
		(*v)[0] = (*v)[0][n:]
	}
}

// wrapErrno names the system call that an errno comes from.
func wrapErrno(call string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		return os.NewSyscallError(call, errno)
	}
	return err
}

// readFrom implements transport.
func (s *socket) readFrom(r io.Reader) (int64, error) {
	if v, ok := r.(*net.Buffers); ok {
		return s.writeBuffers(v)
	}
	n, handled, err := s.copyFrom(r)
	if !handled {
		n, err = io.Copy(onlyWriter{s}, r)
	}
	if handled || s.isTCP() {
		err = s.fail("readfrom", err)
	}
	return n, err
}

// isTCP tells whether such a connection of package net has ReadFrom and WriteTo,
// which name themselves in errors.
func (s *socket) isTCP() bool { return strings.HasPrefix(s.network, "tcp") }

// copyFrom does it by a system call, if there is one for it.
func (s *socket) copyFrom(r io.Reader) (int64, bool, error) {
	source, limit := limited(r)
	n, handled, err := s.spliceFrom(source, limit)
	if !handled {
		n, handled, err = s.sendfile(source, limit)
	}
	if limit, ok := r.(*io.LimitedReader); ok && handled {
		limit.N -= n
	}
	return n, handled, err
}

// writeTo implements transport.
func (s *socket) writeTo(w io.Writer) (int64, error) {
	n, err := s.copyTo(w)
	if s.isTCP() {
		err = s.fail("writeto", err)
	}
	return n, err
}

// copyTo does it by the best way there is.
func (s *socket) copyTo(w io.Writer) (int64, error) {
	if c, ok := w.(*Conn); ok && c.ok() {
		if to, ok := c.t.(*socket); ok {
			return to.readFrom(s)
		}
	}
	if n, handled, err := s.spliceTo(w, noLimit); handled {
		return n, err
	}
	return io.Copy(w, onlyReader{s})
}
