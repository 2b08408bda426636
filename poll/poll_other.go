//go:build !linux

package poll

import (
	"errors"
	"fmt"
	"time"
)

// Everything here fails in the same way: there is no epoll on this system.

var errUnsupported = fmt.Errorf("poll: epoll: %w", errors.ErrUnsupported)

// Poll is an epoll instance, which only Linux has.
type Poll struct{ registry Registry }

// New returns an error that is [errors.ErrUnsupported].
func New() (*Poll, error) { return nil, errUnsupported }

// Registry returns a registry that registers nothing.
func (p *Poll) Registry() *Registry { return &p.registry }

// Fd returns -1.
func (p *Poll) Fd() int { return -1 }

// Close returns an error that is [errors.ErrUnsupported].
func (p *Poll) Close() error { return errUnsupported }

// Poll returns an error that is [errors.ErrUnsupported].
func (p *Poll) Poll(events *Events, timeout time.Duration) error {
	events.length = 0
	return errUnsupported
}

// Registry registers descriptors with a [Poll].
type Registry struct{}

// Register returns an error that is [errors.ErrUnsupported].
func (r *Registry) Register(source Source, token Token, interest Interest) error {
	return errUnsupported
}

// Reregister returns an error that is [errors.ErrUnsupported].
func (r *Registry) Reregister(source Source, token Token, interest Interest) error {
	return errUnsupported
}

// Deregister returns an error that is [errors.ErrUnsupported].
func (r *Registry) Deregister(source Source) error { return errUnsupported }

// Waker ends a [Poll.Poll] from anywhere.
type Waker struct{}

// NewWaker returns an error that is [errors.ErrUnsupported].
func NewWaker(registry *Registry, token Token) (*Waker, error) { return nil, errUnsupported }

// PollFd is -1.
func (w *Waker) PollFd() int { return -1 }

// Wake returns an error that is [errors.ErrUnsupported].
func (w *Waker) Wake() error { return errUnsupported }

// Close returns an error that is [errors.ErrUnsupported].
func (w *Waker) Close() error { return errUnsupported }

// rawEvent is never filled in.
type rawEvent struct{}

func tokenOf(*rawEvent) Token { return 0 }

func readyOf(*rawEvent) Ready { return 0 }
