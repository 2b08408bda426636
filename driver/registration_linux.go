package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/poll"
)

// Registration is a descriptor in the registry, edge-triggered, for as long as
// it lives. The descriptor stays the caller's: deregister it before closing it.
// All methods may be called by any goroutine.
type Registration struct {
	io    *ScheduledIO
	set   *registrations
	fd    int
	key   slab.Key
	ended bool // guarded by set.mu
}

// registrations is all of them, found by token. A slot is vacated at the start
// of the turn after its Deregister, when no fetched event can refer to it.
type registrations struct {
	mu       sync.Mutex
	slots    slab.Slab[*ScheduledIO]
	pending  []slab.Key
	closed   bool
	registry *poll.Registry
	counters *counters
}

// Register puts a pollable descriptor in the registry. It should be
// non-blocking, or a spurious event blocks whoever acts upon it. Errors: those
// of poll.Registry.Register, poll.ErrNotPollable for regular files among them,
// and ErrShutdown.
func (h *Handle) Register(fd int, interest poll.Interest) (*Registration, error) {
	set := &h.registrations
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.closed {
		return nil, ErrShutdown
	}
	io := new(ScheduledIO)
	key, _ := set.slots.Insert(io)
	if key == 0 {
		return nil, fmt.Errorf("eddy: %d registrations: %w", set.slots.Len(), unix.ENOSPC)
	}
	if err := set.registry.Register(poll.SourceFd(fd), poll.Token(key), interest); err != nil {
		set.slots.Remove(key)
		return nil, err
	}
	set.counters.registrations.Add(1)
	return &Registration{io: io, set: set, fd: fd, key: key}, nil
}

// dispatch passes an event on to its registration.
func (s *registrations) dispatch(e poll.Event) {
	s.mu.Lock()
	slot, ok := s.slots.Get(slab.Key(e.Token))
	var io *ScheduledIO
	if ok {
		io = *slot
	}
	s.mu.Unlock()
	if !ok {
		s.counters.staleEvents.Add(1)
		return
	}
	io.setReadiness(e.Ready)
	io.wake(e.Ready)
}

// releasePending vacates the slots of registrations that have ended.
func (s *registrations) releasePending() {
	s.mu.Lock()
	for _, key := range s.pending {
		s.slots.Remove(key)
	}
	s.pending = s.pending[:0]
	s.mu.Unlock()
}

// shutdown ends all registrations.
func (s *registrations) shutdown() {
	s.mu.Lock()
	s.closed = true
	var all []*ScheduledIO
	s.slots.Each(func(_ slab.Key, io **ScheduledIO) bool {
		all = append(all, *io)
		return true
	})
	s.mu.Unlock()
	for _, io := range all {
		io.shutdown()
	}
}

// Ready waits until the descriptor is ready for some of the interest, and says
// for what. It answers at once if it is known to be. Errors: the context's,
// fs.ErrClosed after Deregister, ErrShutdown after Shutdown.
//
// The answer may be out of date (another reader was faster) and stays until it
// is cleared: call ClearReady with the event once an operation said EAGAIN.
func (r *Registration) Ready(ctx context.Context, interest poll.Interest) (ReadyEvent, error) {
	if !interest.IsValid() {
		return ReadyEvent{}, poll.ErrInvalidInterest
	}
	if e, err := r.readyNow(interest); err != nil || e.Ready != 0 {
		return e, err
	}
	w := waiter{interest: interest, wake: make(chan struct{}, 1)}
	for {
		r.io.enqueue(&w)
		if e, err := r.readyNow(interest); err != nil || e.Ready != 0 {
			r.io.dequeue(&w)
			return e, err
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			r.io.dequeue(&w)
			return ReadyEvent{}, ctx.Err()
		}
	}
}

func (r *Registration) readyNow(interest poll.Interest) (ReadyEvent, error) {
	e, shutdown := r.io.readiness(interest)
	if !shutdown {
		return e, nil
	}
	r.set.mu.Lock()
	defer r.set.mu.Unlock()
	if r.ended {
		return ReadyEvent{}, fs.ErrClosed
	}
	return ReadyEvent{}, ErrShutdown
}

// TryIO calls f if the descriptor is ready for some of the interest, and
// returns what f returns. If f says EAGAIN, the readiness was out of date and
// is cleared. If the descriptor is not ready, f is not called and the error is
// EAGAIN too: wait with Ready.
func (r *Registration) TryIO(interest poll.Interest, f func() error) error {
	if !interest.IsValid() {
		return poll.ErrInvalidInterest
	}
	e, err := r.readyNow(interest)
	if err != nil {
		return err
	}
	if e.Ready == 0 {
		return unix.EAGAIN
	}
	err = f()
	if errors.Is(err, unix.EAGAIN) {
		r.io.clearReadiness(e)
	}
	return err
}

// ClearReady says that an operation found nothing more to do. News that came
// after the event are kept.
func (r *Registration) ClearReady(e ReadyEvent) { r.io.clearReadiness(e) }

// Deregister takes the descriptor out of the registry and wakes everybody who
// waits for it, with fs.ErrClosed. It returns fs.ErrClosed the second time. An
// EBADF means that the descriptor was closed before.
func (r *Registration) Deregister() error {
	s := r.set
	s.mu.Lock()
	if r.ended {
		s.mu.Unlock()
		return fs.ErrClosed
	}
	r.ended = true
	s.counters.registrations.Add(-1)
	var err error
	if s.closed {
		s.slots.Remove(r.key)
	} else {
		err = s.registry.Deregister(poll.SourceFd(r.fd))
		s.pending = append(s.pending, r.key)
	}
	s.mu.Unlock()
	r.io.shutdown()
	return err
}
