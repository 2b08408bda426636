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

// Poll is an epoll instance. One goroutine at a time waits in it as a rule;
// several may, each with its own [Events], and then each event goes to one of
// them. Its Registry, Fd and Close may be used at any time from anywhere.
type Poll struct {
	fd       *sys.FD
	registry Registry

	// coarse is set once the kernel turned out to lack epoll_pwait2(2).
	coarse atomic.Bool
}

// New opens an epoll instance: close-on-exec, and in non-blocking mode, so that
// another poller, such as the one of the Go runtime, accepts a duplicate of its
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

// Registry says what this Poll waits for.
func (p *Poll) Registry() *Registry { return &p.registry }

// Fd is the epoll descriptor. It is readable whenever Poll would find an event,
// so it can be watched in turn by poll(2) or another epoll instance. It is valid
// until Close, and must not be closed or waited on (epoll_wait) by the caller.
func (p *Poll) Fd() int { return p.fd.Number() }

// Close releases the descriptor; what is registered is forgotten, but not closed.
// A Poll that is waiting meanwhile is not woken, and ends as it would have
// without; the descriptor lives until then. Use a [Waker]. A second Close
// returns [os.ErrClosed].
func (p *Poll) Close() error { return p.fd.Close() }

// Poll waits until a registered descriptor is ready or the timeout has passed,
// and puts what it finds into events, replacing what was there. Finding nothing
// in time is no error.
//
// A timeout of zero only looks, without involving the scheduler; a negative one
// waits for ever; a positive one is never cut short, is exact to the kernel's
// timer slack (50 us by default, PR_SET_TIMERSLACK) from Linux 5.11 on, and is
// rounded up to milliseconds before that. Signals neither end nor stretch it.
//
// A wait with a timeout other than zero occupies an operating system thread, as
// every blocking system call does. Poll does not allocate.
//
// After Close the error is [os.ErrClosed]. Nothing else is expected.
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
