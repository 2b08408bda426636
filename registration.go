package eddy

import (
	"context"
	"fmt"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/poll"
)

// ReadyEvent says what a registration was found ready for. Pass it to
// [Registration.ClearReady].
type ReadyEvent = driver.ReadyEvent

// A Registration is a descriptor whose readiness can be waited for: a pipe, a
// socket, a timerfd, a device, or a descriptor that a library owns. All methods
// may be called concurrently.
type Registration struct {
	source   source
	interest poll.Interest
}

// Register starts to watch a descriptor. The descriptor should be non-blocking
// and stays the caller's; call [Registration.Deregister] before closing it.
// Errors are poll.ErrNotPollable for regular files and directories,
// poll.ErrInvalidInterest, fs.ErrExist if the driver watches it already, EBADF,
// [ErrShutdown], and errors.ErrUnsupported on Windows. See epoll_ctl(2).
func (d *Driver) Register(fd int, interest poll.Interest) (*Registration, error) {
	if d.down.Load() {
		return nil, ErrShutdown
	}
	if !interest.IsValid() {
		return nil, poll.ErrInvalidInterest
	}
	s, err := d.system.register(fd, interest)
	if err != nil {
		return nil, fmt.Errorf("eddy: register descriptor %d: %w", fd, err)
	}
	return &Registration{s, interest}, nil
}

// Ready waits until the descriptor is ready for some part of the interest,
// which must be part of what was registered, and returns what it is ready for.
// The readiness stays until it is cleared: after an operation has returned
// EAGAIN, call [Registration.ClearReady], or Ready returns the same again at
// once. Errors are ctx.Err(), fs.ErrClosed after Deregister,
// poll.ErrInvalidInterest for an interest that was not registered, and
// [ErrShutdown].
//
//	for {
//		event, err := r.Ready(ctx, poll.Readable)
//		...
//		n, err := unix.Read(fd, p)
//		if err == unix.EAGAIN {
//			r.ClearReady(event)
//			continue
//		}
//		...
//	}
func (r *Registration) Ready(ctx context.Context, interest poll.Interest) (ReadyEvent, error) {
	if !r.watches(interest) {
		return ReadyEvent{}, poll.ErrInvalidInterest
	}
	if err := ctx.Err(); err != nil {
		return ReadyEvent{}, err
	}
	return r.source.Ready(ctx, interest)
}

// TryIO calls f if the descriptor is ready for some part of the interest, which
// must be part of what was registered, returns its error, and clears the
// readiness if that is EAGAIN. It does not wait: if the descriptor is not
// ready, f is not called and the error is EAGAIN. Other errors are those of Ready.
func (r *Registration) TryIO(interest poll.Interest, f func() error) error {
	if !r.watches(interest) {
		return poll.ErrInvalidInterest
	}
	return r.source.TryIO(interest, f)
}

// ClearReady says that, after the event, an operation found nothing more to do.
// Readiness that has arrived since the event is kept.
func (r *Registration) ClearReady(e ReadyEvent) { r.source.ClearReady(e) }

// Deregister stops watching the descriptor. Calls of Ready in progress return
// fs.ErrClosed, and so does a second Deregister.
func (r *Registration) Deregister() error { return r.source.Deregister() }

// watches reports whether the interest is part of what was registered.
func (r *Registration) watches(interest poll.Interest) bool {
	return interest != 0 && interest&^r.interest == 0
}
