package poll

import (
	"math"
	"os"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// A Registry registers descriptors with a Poll. All methods may be called
// concurrently, also while the Poll waits; the wait takes the change into
// account at once. After the Poll's Close they return os.ErrClosed.
type Registry struct {
	fd *sys.FD
}

// Register watches the source's descriptor for the interest, edge-triggered:
// epoll_ctl(2), EPOLL_CTL_ADD. Its events carry the token, which need not be
// unique.
//
// Errors wrap the errno of epoll_ctl(2):
//
//	[ErrInvalidInterest]  the interest is empty or unknown
//	[ErrNotPollable]      a regular file or directory (EPERM)
//	[os.ErrExist]         the descriptor is already registered (EEXIST)
//	EBADF                 it is not open
//	EINVAL                it is this Poll's own descriptor
//	ELOOP                 it is an epoll instance that would close a cycle, or be
//	                      the sixth nested one
//	ENOSPC                the user's limit, /proc/sys/fs/epoll/max_user_watches
//	ENOMEM                the kernel has no memory
func (r *Registry) Register(source Source, token Token, interest Interest) error {
	return r.control(add, source.PollFd(), token, interest)
}

// Reregister changes the token and the interest of a registered descriptor:
// epoll_ctl(2), EPOLL_CTL_MOD. What is ready at this moment is announced again,
// so Reregister can also be used to repeat an event.
//
// Errors are those of Register, and os.ErrNotExist (ENOENT) if the descriptor
// is not registered.
func (r *Registry) Reregister(source Source, token Token, interest Interest) error {
	return r.control(modify, source.PollFd(), token, interest)
}

// Deregister ends the watch: epoll_ctl(2), EPOLL_CTL_DEL. No later Poll finds
// an event of the descriptor; one that runs concurrently still may.
//
// Errors are os.ErrNotExist (ENOENT) if the descriptor is not registered, and
// EBADF if it is not open; see "Closing descriptors" in the package comment.
func (r *Registry) Deregister(source Source) error {
	return r.control(remove, source.PollFd(), 0, 0)
}

// operation is what to do to a registration, with its name in errors.
type operation struct {
	code int
	name string
}

var (
	add    = operation{unix.EPOLL_CTL_ADD, "epoll_ctl add"}
	modify = operation{unix.EPOLL_CTL_MOD, "epoll_ctl mod"}
	remove = operation{unix.EPOLL_CTL_DEL, "epoll_ctl del"}
)

func (r *Registry) control(op operation, fd int, token Token, interest Interest) error {
	if op != remove && !interest.IsValid() {
		return os.NewSyscallError(op.name, ErrInvalidInterest)
	}
	if fd < 0 || fd > math.MaxInt32 {
		// The kernel would look at the low 32 bits only.
		return os.NewSyscallError(op.name, unix.EBADF)
	}
	epfd, ok := r.fd.Acquire()
	if !ok {
		return os.ErrClosed
	}
	err := sys.EpollControl(epfd, op.code, fd, sys.EpollEventOf(epollBits(interest), uint64(token)))
	// Nothing depends on what close(2) says of an epoll instance.
	r.fd.Release()
	if err == unix.EPERM {
		err = ErrNotPollable
	}
	return os.NewSyscallError(op.name, err)
}
