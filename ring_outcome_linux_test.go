package eddy

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// What only a ring answers is no answer for a caller: a plain call finds out.
// What any call answers is passed on.
func TestAnswerThatOnlyARingGivesReachesTheCaller(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		unix.EAGAIN:     errNotOnRing, // XFS, and files with O_NONBLOCK
		unix.EOPNOTSUPP: errNotOnRing, // the operation is there, but not for this file system
		unix.EINVAL:     errNotOnRing, // newer than the file system, or really wrong
		unix.EBADF:      errNotOnRing, // ESPIPE, where a file has no offsets
		unix.EPERM:      errNotOnRing, // a filter that came after the ring, or really forbidden
		unix.EACCES:     errNotOnRing,
		unix.ENOSYS:     errNotOnRing,
		unix.ECANCELED:  ErrShutdown,
		unix.EBADR:      driver.ErrLost,
		unix.EIO:        unix.EIO,
		unix.ENOENT:     unix.ENOENT,
		unix.ENOSPC:     unix.ENOSPC,
		unix.EISDIR:     unix.EISDIR,
	} {
		if n, err := outcome(-int32(errno)); n != 0 || !errors.Is(err, want) {
			t.Errorf("%v: %d, %v; want %v", errno, n, err, want)
		}
	}
	for _, n := range []int32{0, 1, 1<<31 - 1} {
		if got, err := outcome(n); got != int(n) || err != nil {
			t.Errorf("%d: %d, %v", n, got, err)
		}
	}
}
