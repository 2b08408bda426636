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
//
// It can be embedded in a larger structure, so that all of a connection's state
// lies together; see Handle.RegisterAt.
type Registration struct {
	io       ScheduledIO
	set      *registrations
	fd       int
	key      slab.Key
	ended    bool          // guarded by set.mu
	interest poll.Interest // guarded by set.mu
}

// registrations is all of them, found by token. A slot is vacated at the start
// of the turn after its Deregister, when no fetched event can refer to it.
type registrations struct {
	mu       sync.Mutex
	slots    slab.Slab[*Registration]
	pending  []slab.Key
	closed   bool
	registry *poll.Registry
	waker    *poll.Waker // ends the turn that waits
	counters *counters
}

// manyPending is how many slots may wait for a turn before one is caused.
const manyPending = 128

// Register puts a pollable descriptor in the registry. It should be
// non-blocking, or a spurious event blocks whoever acts upon it. Errors: those
// of poll.Registry.Register, poll.ErrNotPollable for regular files among them,
// and ErrShutdown.
func (h *Handle) Register(fd int, interest poll.Interest) (*Registration, error) {
	r := new(Registration)
	if err := h.RegisterAt(r, fd, interest); err != nil {
		return nil, err
	}
	return r, nil
}

// RegisterAt is Register with the caller's memory, a zero Registration. It must
// not be moved or used for another descriptor from then on, even if the call
// fails.
func (h *Handle) RegisterAt(r *Registration, fd int, interest poll.Interest) error {
	set := &h.registrations
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.closed {
		return ErrShutdown
	}
	key, _ := set.slots.Insert(r)
	if key == 0 {
		return fmt.Errorf("eddy: %d registrations: %w", set.slots.Len(), unix.ENOSPC)
	}
	r.set, r.fd, r.key = set, fd, key
	if err := set.registry.Register(poll.SourceFd(fd), poll.Token(key), interest); err != nil {
		set.slots.Remove(key)
		return err
	}
	r.interest = interest
	set.counters.registrations.Add(1)
	return nil
}

// IO is the descriptor's readiness, for those who act on it without Ready.
func (r *Registration) IO() *ScheduledIO { return &r.io }

// Fd is the descriptor, without a promise that it is still open.
func (r *Registration) Fd() int { return r.fd }

// news is an event and whom it concerns.
type news struct {
	registration *Registration
	ready        poll.Ready
}

// find looks up all of a turn's events under one lock.
func (s *registrations) find(turn []news, events []poll.Event) []news {
	s.mu.Lock()
	for _, e := range events {
		if slot, ok := s.slots.Get(slab.Key(e.Token)); ok {
			turn = append(turn, news{*slot, e.Ready})
		}
	}
	s.mu.Unlock()
	return turn
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
	var all []*Registration
	s.slots.Each(func(_ slab.Key, r **Registration) bool {
		all = append(all, *r)
		return true
	})
	s.mu.Unlock()
	for _, r := range all {
		r.io.Shutdown()
	}
}

// Ready waits until the descriptor is ready for some of the interest, and says
// for what. It answers at once if it is known to be. For an interest that was not
// registered, only an error or a closed peer ends the wait. Errors are ctx.Err(),
// poll.ErrInvalidInterest, fs.ErrClosed after Deregister, ErrShutdown after
// Shutdown.
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

// Reregister changes what the descriptor is watched for: add is added, and drop
// taken away; something has to be left. What it is ready for at that moment is
// announced anew. Errors: poll.ErrInvalidInterest, fs.ErrClosed after Deregister,
// ErrShutdown.
func (r *Registration) Reregister(add, drop poll.Interest) error {
	s := r.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ended {
		return fs.ErrClosed
	}
	if s.closed {
		return ErrShutdown
	}
	interest := r.interest&^drop | add
	err := s.registry.Reregister(poll.SourceFd(r.fd), poll.Token(r.key), interest)
	if err == nil {
		r.interest = interest
	}
	return err
}

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
	many := false
	if s.closed {
		s.slots.Remove(r.key)
	} else {
		err = s.registry.Deregister(poll.SourceFd(r.fd))
		s.pending = append(s.pending, r.key)
		many = len(s.pending) == manyPending
	}
	s.mu.Unlock()
	r.io.Shutdown()
	if many { // there may be no event for a long time
		_ = s.waker.Wake() // it fails after a Shutdown, when no slot is wanted
	}
	return err
}
