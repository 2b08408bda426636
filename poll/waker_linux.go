package poll

import (
	"os"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// A Waker ends a [Poll.Poll] from any goroutine. It is an eventfd(2) that is
// registered with the Poll.
type Waker struct {
	fd       *sys.FD
	registry *Registry
}

// NewWaker registers a new Waker. Its events carry the token and are readable;
// there is nothing to drain. Errors are those of eventfd(2), EMFILE, ENFILE and
// ENOMEM, and those of [Registry.Register].
func NewWaker(registry *Registry, token Token) (*Waker, error) {
	number, err := sys.EventCreate()
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	w := &Waker{fd: sys.NewFD(number), registry: registry}
	if err := registry.Register(w, token, Readable); err != nil {
		w.fd.Close()
		return nil, err
	}
	return w, nil
}

// PollFd returns the descriptor of the eventfd.
func (w *Waker) PollFd() int { return w.fd.Number() }

// Wake makes a waiting Poll return, or the next Poll not wait. Any number of
// calls before that Poll make one event. What happened before Wake is visible
// to whoever handles the event. Wake may be called concurrently, never blocks,
// and costs one system call. After Close it returns os.ErrClosed.
func (w *Waker) Wake() error {
	number, ok := w.fd.Acquire()
	if !ok {
		return os.ErrClosed
	}
	defer w.fd.Release()
	for {
		switch err := sys.EventAdd(number); err {
		case unix.EINTR:
		case unix.EAGAIN:
			// The counter is at its maximum, after 2^64 wakes. An edge needs a
			// change, so it starts again.
			if err := sys.EventReset(number); err != nil && err != unix.EAGAIN && err != unix.EINTR {
				return os.NewSyscallError("read", err)
			}
		default:
			return os.NewSyscallError("write", err)
		}
	}
}

// Close deregisters the Waker and closes its descriptor. A wake-up that has not
// been polled yet is lost. The Poll may already have been closed.
func (w *Waker) Close() error {
	number, ok := w.fd.Acquire()
	if !ok {
		return os.ErrClosed
	}
	defer w.fd.Release()
	// Of several concurrent calls one goes on.
	if err := w.fd.Close(); err != nil {
		return err
	}
	err := w.registry.Deregister(SourceFd(number))
	if err == os.ErrClosed {
		return nil
	}
	return err
}
