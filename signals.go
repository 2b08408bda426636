package eddy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"sync"
)

// Signals receives signals that are sent to the process. A signal that comes
// again before it was received counts once, as in the kernel, signal(7), and none
// is lost over another, however often that comes. Two that come at about the same
// time may be received in either order. While anybody receives a signal, its
// default action does not take place. All methods may be called concurrently;
// each signal goes to one of the callers of Recv.
type Signals struct {
	d *Driver

	mu      sync.Mutex
	pending []os.Signal   // in the order they came
	wake    chan struct{} // capacity 1
	closed  bool
	gone    chan struct{}
}

// Signals starts to receive the given signals, or all that can be received if
// none are given. SIGKILL and SIGSTOP cannot be received, see signal(7); asking
// for them is an error (fs.ErrInvalid). Close the result when it is no longer
// needed.
func (d *Driver) Signals(sigs ...os.Signal) (*Signals, error) {
	for _, s := range sigs {
		if s == nil {
			return nil, errors.New("eddy: a nil signal")
		}
		if uncatchable(s) {
			return nil, fmt.Errorf("eddy: signal %v cannot be received: %w", s, fs.ErrInvalid)
		}
	}
	s := &Signals{d: d, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	if err := d.signals.add(s, sigs); err != nil {
		return nil, err
	}
	return s, nil
}

// Recv waits for the next signal. Errors are ctx.Err(), fs.ErrClosed after
// Close, and [ErrShutdown] after the driver was shut down.
func (s *Signals) Recv(ctx context.Context) (os.Signal, error) {
	for {
		if sig, err := s.next(); sig != nil || err != nil {
			return sig, err
		}
		select {
		case <-s.wake:
		case <-s.gone:
		case <-s.d.ended:
			return nil, ErrShutdown
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Signals) next() (os.Signal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fs.ErrClosed
	}
	if s.d.down.Load() {
		return nil, ErrShutdown
	}
	if len(s.pending) == 0 {
		return nil, nil
	}
	sig := s.pending[0]
	s.pending = s.pending[1:]
	if len(s.pending) > 0 {
		s.poke()
	}
	return sig, nil
}

// poke wakes one receiver, or the next one.
func (s *Signals) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close stops receiving. Default actions take place again, unless somebody else
// receives the signals. Calls of Recv in progress return fs.ErrClosed, and so
// does a second Close.
func (s *Signals) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fs.ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	close(s.gone)
	s.d.signals.remove(s)
	return nil
}

// offer adds a signal, unless the same one is still to be received.
func (s *Signals) offer(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.pending, sig) {
		return
	}
	s.pending = append(s.pending, sig)
	s.poke()
}

// receivers is everybody who receives signals through one driver. Go's runtime
// hands signals to channels, and drops what a channel has no room for. So there
// is a channel for each signal of each receiver: one that is dropped has been
// there already, and counts once. A goroutine each puts them here and has the
// driver's loop deliver them.
type receivers struct {
	mu      sync.Mutex
	all     map[*Signals][]chan os.Signal
	arrived []arrival
	closed  bool
	running sync.WaitGroup // the goroutines
}

// arrival is a signal on its way to a receiver.
type arrival struct {
	to  *Signals
	sig os.Signal
}

// add starts to receive the wanted signals, or all if there are none.
func (r *receivers) add(s *Signals, wanted []os.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrShutdown
	}
	if r.all == nil {
		r.all = map[*Signals][]chan os.Signal{}
	}
	if len(wanted) == 0 {
		wanted = everySignal()
	}
	if len(wanted) == 0 { // nobody knows which there are
		r.listen(s, make(chan os.Signal, 64))
	}
	for i, sig := range wanted {
		if !slices.Contains(wanted[:i], sig) {
			r.listen(s, make(chan os.Signal, 1), sig)
		}
	}
	return nil
}

// listen starts to receive signals by way of a channel. The caller holds mu.
func (r *receivers) listen(s *Signals, c chan os.Signal, sigs ...os.Signal) {
	r.all[s] = append(r.all[s], c)
	signal.Notify(c, sigs...)
	r.running.Go(func() { r.collect(s, c) })
}

// collect brings what comes by one of a receiver's channels to the loop.
func (r *receivers) collect(s *Signals, c <-chan os.Signal) {
	for sig := range c {
		r.mu.Lock()
		r.arrived = append(r.arrived, arrival{s, sig})
		r.mu.Unlock()
		s.d.system.announce()
	}
}

// deliver hands out what has arrived. It is the loop's.
func (r *receivers) deliver() {
	r.mu.Lock()
	arrived := r.arrived
	r.arrived = nil
	r.mu.Unlock()
	for _, a := range arrived {
		a.to.offer(a.sig)
	}
}

func (r *receivers) remove(s *Signals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.all[s] {
		signal.Stop(c)
		close(c) // Stop has returned: nobody sends any more
	}
	delete(r.all, s)
}

// shutdown stops all receivers. When it returns nobody announces any more, and
// what is announced to may be closed.
func (r *receivers) shutdown() {
	r.mu.Lock()
	r.closed = true
	all := make([]*Signals, 0, len(r.all))
	for s := range r.all {
		all = append(all, s)
	}
	r.mu.Unlock()
	for _, s := range all {
		r.remove(s)
	}
	r.running.Wait()
}
