package eddy

import (
	"context"
	"os"
)

// stops is what can end the wait for an operation.
type stops struct {
	ctx  context.Context
	over <-chan struct{} // the deadline has passed
	gone <-chan struct{} // the file was closed
	down <-chan struct{} // the driver was shut down
}

// reason is why to stop, or nil.
func (s *stops) reason() error {
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-s.over:
		return os.ErrDeadlineExceeded
	case <-s.gone:
		return os.ErrClosed
	case <-s.down:
		return ErrShutdown
	default:
		return nil
	}
}

// wait blocks until done yields, and returns nil, or until there is a reason
// to stop.
func (s *stops) wait(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-s.over:
		return os.ErrDeadlineExceeded
	case <-s.gone:
		return os.ErrClosed
	case <-s.down:
		return ErrShutdown
	}
}

// stops are those of a call with this context under this deadline, or nil if
// nothing can ever stop it. The error is why not to begin.
func (f *File) stops(ctx context.Context, d *deadline) (*stops, error) {
	over := d.wait()
	if over == nil && ctx.Done() == nil {
		return nil, nil
	}
	s := &stops{ctx: ctx, over: over, gone: f.gone, down: f.d.ended}
	return s, s.reason()
}
