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
	if f, ok := r.(*File); ok {
		if f.readsEnd() || f.acquire("read") != nil {
			return 0, false, nil // Read tells
		}
		defer f.release()
		r = f.file
	}
	// It need not be an *os.File: os.File.WriteTo, to which io.Copy turns first,
	// hands on something else that reads the file.
	file, ok := r.(syscall.Conn)
	if !ok || s.kind&isStream == 0 {
		return 0, false, nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	// As std, with the source locked: nobody else reads from the middle.
	rawErr := raw.Read(func(fd uintptr) bool {
		sent, handled, err = s.sendDescriptor(int(fd), limit)
		return true
	})
	if rawErr != nil {
		return 0, false, nil
	}
	return sent, handled, wrapErrno("sendfile", err)
}

// sendDescriptor is sendfile's loop.
func (s *socket) sendDescriptor(from int, limit int64) (sent int64, handled bool, err error) {
	var stat unix.Stat_t
	if unix.Fstat(from, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, false, nil
	}
	s.writes.Lock()
	defer s.writes.Unlock()
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
