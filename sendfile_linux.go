package eddy

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// maxSendfile is the most one sendfile(2) is asked to move; it ends early
// anyway where the socket is full.
const maxSendfile = 4 << 20

// sendfile writes a file from its own offset on, up to limit bytes, and moves the
// offset. It reports false if it has done nothing and another way is needed: the
// source is no regular file, or its file system has no sendfile.
func (s *socket) sendfile(r io.Reader, limit int64) (sent int64, handled bool, err error) {
	file, ok := fileOf(r)
	if !ok || s.kind&isStream == 0 {
		return 0, false, nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	controlErr := raw.Control(func(fd uintptr) {
		sent, handled, err = s.sendDescriptor(int(fd), limit)
	})
	if controlErr != nil {
		return 0, false, nil
	}
	return sent, handled, wrapErrno("sendfile", err)
}

// fileOf is the descriptor behind a reader, if there is one. It need not be an
// *os.File: os.File.WriteTo, to which io.Copy turns first, hands on something else
// that reads the file.
func fileOf(r io.Reader) (syscall.Conn, bool) {
	if f, ok := r.(*File); ok {
		if f == nil {
			return nil, false
		}
		return f.file, true
	}
	f, ok := r.(syscall.Conn)
	return f, ok
}

// sendDescriptor is sendfile's loop. The caller holds writes.
func (s *socket) sendDescriptor(from int, limit int64) (sent int64, handled bool, err error) {
	var stat unix.Stat_t
	if unix.Fstat(from, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, false, nil
	}
	for sent < limit {
		var n int
		err := s.attempt(driver.Writing, func() (err error) {
			n, err = unix.Sendfile(s.fd, from, nil, int(min(limit-sent, maxSendfile)))
			return err
		})
		if err != nil {
			if sent == 0 && (err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP || err == unix.EOVERFLOW) {
				return 0, false, nil
			}
			return sent, true, err
		}
		if n == 0 {
			break
		}
		sent += int64(n)
	}
	return sent, true, nil
}
