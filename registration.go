package eddy

import (
	"context"
	"fmt"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/poll"
)

// ReadyEvent is what a registration was found ready for. Hand it to ClearReady.
type ReadyEvent = driver.ReadyEvent

// Registration is a descriptor whose readiness can be waited for: a pipe, a
// socket, a timerfd, a device, a library's own. It is what Tokio calls AsyncFd.
// All methods may be called by any goroutine.
type Registration struct {
	source source
}

// Register starts to watch a descriptor. It should be non-blocking, and stays
// the caller's: deregister it before closing it. Errors: poll.ErrNotPollable
// for regular files and directories, fs.ErrExist if the driver has it already,
// EBADF, ErrShutdown, and errors.ErrUnsupported on Windows.
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
	return &Registration{source: s}, nil
}

// Ready waits until the descriptor is ready for some part of the interest,
// which must be part of what was registered, and tells for what. The answer
// stands until it is cleared: after an operation has said EAGAIN, call
// ClearReady, or Ready answers the same at once. Errors: ctx.Err(),
// fs.ErrClosed after Deregister, ErrShutdown.
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
	if !interest.IsValid() {
		return ReadyEvent{}, poll.ErrInvalidInterest
	}
	if err := ctx.Err(); err != nil {
		return ReadyEvent{}, err
	}
	return r.source.Ready(ctx, interest)
}

// TryIO calls f if the descriptor is ready, and clears the readiness if f says
// EAGAIN. It does not wait: if the descriptor is not ready, the error is
// EAGAIN and f was not called.
func (r *Registration) TryIO(interest poll.Interest, f func() error) error {
	if !interest.IsValid() {
		return poll.ErrInvalidInterest
	}
	return r.source.TryIO(interest, f)
}

// ClearReady says that an operation found nothing more to do after the event.
// What has become ready since then stays.
func (r *Registration) ClearReady(e ReadyEvent) { r.source.ClearReady(e) }

// Deregister ends the watch and wakes whoever waits, with fs.ErrClosed. The
// second time it returns fs.ErrClosed itself.
func (r *Registration) Deregister() error { return r.source.Deregister() }
