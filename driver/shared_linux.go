package driver

import (
	"context"
	"runtime"

	"github.com/eddyio/eddy/uring"
)

// shared is the mode in which callers submit: they push under a mutex, and
// one of them, or the flusher if there are several, enters the kernel.
//
// On one processor this is what makes batches: the flusher lets every
// goroutine that is ready to run push its request first, then enters once.
type shared struct {
	mu      mutex
	context UringContext
	closed  bool
	kicked  atomicBool
	kick    chan struct{} // capacity 1, and kicked says whether it is full: sending never blocks
	quit    chan struct{}
	ended   chan struct{} // closed when the flusher has returned
}

// eager is how many requests a caller hands to the kernel itself, without
// waiting for the flusher, if the kernel has no more than that: the device
// should be at work on the first of a batch while the rest are being pushed.
// Doubling from there, a batch of any size takes few system calls.
const eager = 4

// sharedFlags ask the kernel not to interrupt a thread in order to complete a
// request (5.19): completions are then run by the next system call of the
// thread that submitted.
const sharedFlags = uring.SetupCoopTaskrun | uring.SetupTaskrunFlag | uring.SetupSubmitAll | uring.SetupNoSQArray

func newShared(open opener, entries uint32, depth int, c *counters) (*shared, error) {
	s := &shared{kick: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	s.context.counters = c
	s.context.depth = depth
	if err := s.context.tryInit(open, entries, uring.Config{Flags: uring.SetupClamp, Optional: sharedFlags}); err != nil {
		return nil, err
	}
	go s.flush()
	return s, nil
}

func (s *shared) register(o *Op) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrShutdown
	}
	o.home = s
	o.state.Store(uint32(Submitted))
	if err := s.context.admit(o); err != nil {
		o.state.Store(uint32(Idle))
		s.mu.Unlock()
		return err
	}
	if q := s.context.ring.Queued(); q >= eager && s.context.ops.Len() < 2*int(q) {
		_ = s.context.submit() // requests it concerns are failed if it fails
	}
	s.mu.Unlock()
	forget("registered", nil)
	s.signal()
	return nil
}

func (s *shared) signal() {
	if !s.kicked.Load() && s.kicked.CompareAndSwap(false, true) {
		reach("kick")
		s.kick <- struct{}{}
	}
}

// flush enters the kernel for whoever has pushed since it did so last.
func (s *shared) flush() {
	defer close(s.ended)
	for {
		if !receive(s.kick, s.quit) {
			return
		}
		runtime.Gosched() // let those who are ready to push do so first
		s.kicked.Store(false)
		s.turn()
		reach("turned")
	}
}

// turn submits what is queued and reaps what has completed.
func (s *shared) turn() {
	forget("turn", nil)
	s.mu.Lock()
	u := &s.context
	for {
		// An error here is the ring's own; every request it concerned has been
		// failed by then.
		_ = u.submit()
		if u.ring.NeedsTaskrun() {
			_ = u.submitGetEvents()
		}
		if u.dispatchCompletions() == 0 {
			break
		}
	}
	list := u.takeWoken()
	s.mu.Unlock()
	forget("wake", list)
	wake(list)
	forget("turned", nil)
}

func (s *shared) cancel(o *Op) {
	s.mu.Lock()
	u := &s.context
	if slot, ok := u.ops.Get(o.key()); ok && *slot == o && !s.closed {
		// If even this cannot be queued the request just takes its time.
		_ = u.pushCancel(o.key())
		_ = u.submitGetEvents()
		u.dispatchCompletions()
		_ = u.submit() // what follows if it was not found
	}
	list := u.takeWoken()
	s.mu.Unlock()
	forget("wake", list)
	wake(list)
}

func (s *shared) shutdown(ctx context.Context) []Stuck {
	s.context.closing.Store(true)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.context.beginClose()
	list := s.context.takeWoken()
	s.mu.Unlock()
	forget("wake", list)
	wake(list)

	drained := await(ctx, func() bool {
		s.turn()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.context.uncancelled {
			s.context.cancelAll()
		}
		return s.context.drained()
	})
	close(s.quit)
	block("flusher ends", func() bool { return isClosed(s.ended) })
	<-s.ended

	s.mu.Lock()
	defer s.mu.Unlock()
	return s.context.close(drained)
}
