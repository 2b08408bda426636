package poll

import (
	"errors"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// A Poll is an epoll instance. Usually one goroutine waits in it. Several may,
// each with its own Events; each event then goes to one of them. Registry, Fd
// and Close may be called concurrently, also during a wait.
type Poll struct {
	fd       *sys.FD
	registry Registry

	// coarse is set once the kernel turned out to lack epoll_pwait2(2).
	coarse atomic.Bool
}

// New opens an epoll instance. It is close-on-exec and in non-blocking mode, so
// that another poller, such as the Go runtime's, accepts a duplicate of its
// descriptor. Errors are those of epoll_create1(2): EMFILE, ENFILE, ENOMEM.
func New() (*Poll, error) {
	number, err := sys.EpollCreate()
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(number, true); err != nil {
		unix.Close(number)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poll{fd: sys.NewFD(number)}
	p.registry.fd = p.fd
	return p, nil
}

// Registry returns the registry of the descriptors that this Poll waits for.
func (p *Poll) Registry() *Registry { return &p.registry }

// Fd returns the epoll descriptor. It is readable whenever Poll would find an
// event, so it can be watched with poll(2) or another epoll instance. It is
// valid until Close. The caller must not close it, nor wait on it with
// epoll_wait(2).
func (p *Poll) Fd() int { return p.fd.Number() }

// Close closes the epoll descriptor. Registered descriptors are forgotten but
// not closed. A wait in progress is not interrupted, and the descriptor stays
// open until it ends; use a [Waker] to end it. A second Close returns
// os.ErrClosed.
func (p *Poll) Close() error { return p.fd.Close() }

// Poll waits until a registered descriptor is ready or the timeout has passed,
// and stores what it finds in events, replacing what was there. Finding nothing
// in time is not an error.
//
// A timeout of zero only checks, without involving the Go scheduler. A negative
// timeout waits forever. A positive timeout is never cut short. From Linux 5.11
// it is exact to the kernel's timer slack (50 us by default,
// PR_SET_TIMERSLACK); before that it is rounded up to milliseconds. Signals
// neither end nor prolong a wait.
//
// A wait with a timeout other than zero occupies an operating system thread,
// like every blocking system call. Poll does not allocate.
//
// After Close the error is os.ErrClosed. No other errors are expected.
func (p *Poll) Poll(events *Events, timeout time.Duration) error {
	events.length = 0
	epfd, ok := p.fd.Acquire()
	if !ok {
		return os.ErrClosed
	}
	n, err := p.wait(epfd, events.buffer, timeout)
	// Nothing depends on what close(2) says of an epoll instance.
	p.fd.Release()
	if err != nil {
		return os.NewSyscallError("epoll_wait", err)
	}
	events.length = n
	return nil
}

func (p *Poll) wait(epfd int, buffer []rawEvent, timeout time.Duration) (int, error) {
	switch {
	case timeout == 0:
		return now(epfd, buffer)
	case timeout < 0:
		for {
			n, err := sys.EpollMillis(epfd, buffer, -1)
			if err != unix.EINTR {
				return n, err
			}
		}
	}
	deadline := time.Now().Add(timeout)
	for remaining := timeout; remaining > 0; remaining = time.Until(deadline) {
		n, err := p.waitOnce(epfd, buffer, remaining)
		if n > 0 || err != nil && err != unix.EINTR {
			return n, err
		}
		// Interrupted, or timed out in a wait that was shorter than asked for.
	}
	return now(epfd, buffer)
}

// waitOnce waits for the timeout, which is positive, or a little longer, with the
// best resolution the kernel has.
func (p *Poll) waitOnce(epfd int, buffer []rawEvent, timeout time.Duration) (int, error) {
	if !p.coarse.Load() {
		n, err := sys.EpollNanos(epfd, buffer, int64(timeout))
		if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
			return n, err
		}
		// ENOSYS: a kernel before 5.11. EPERM: a seccomp filter that is older
		// than the system call; epoll itself never answers so.
		p.coarse.Store(true)
	}
	return sys.EpollMillis(epfd, buffer, millisUp(timeout))
}

// now looks without waiting.
func now(epfd int, buffer []rawEvent) (int, error) {
	for {
		n, err := sys.EpollNow(epfd, buffer)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// millisUp rounds up, and down to what epoll_wait(2) takes: 24 days.
func millisUp(d time.Duration) int32 {
	millis := d / time.Millisecond
	if d%time.Millisecond > 0 {
		millis++
	}
	return int32(min(millis, math.MaxInt32))
}
