package driver

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/eddyio/eddy/poll"
)

// Driver owns the registry and turns it. All methods but Handle and Fd are for
// one goroutine at a time, its owner.
type Driver struct {
	handle  *Handle
	poll    *poll.Poll
	events  *poll.Events
	batch   []poll.Event          // of the turn, those for registrations
	news    []news                // of the turn
	woken   []sleeper             // of the turn
	between func(woken, left int) // Config.Between
	signal  atomic.Bool           // a signal event has come and was not consumed
	closed  bool
}

// New makes a driver. It fails if the process may have no more descriptors
// (epoll_create1(2), eventfd(2)) or the Config is out of range; it never fails
// because of io_uring, which is set up when it is first wanted.
func New(cfg Config) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p, err := poll.New()
	if err != nil {
		return nil, err
	}
	waker, err := poll.NewWaker(p.Registry(), TokenWakeup)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	d := &Driver{poll: p, events: poll.NewEvents(cfg.Events), between: cfg.Between}
	d.handle = newHandle(cfg, p.Registry(), waker)
	return d, nil
}

// Handle is what other goroutines use. It stays valid, if useless, after
// Shutdown.
func (d *Driver) Handle() *Handle { return d.handle }

// Fd is a descriptor that is readable when a turn would find something to do.
// It belongs to the driver; do not close it or read from it. It is valid until
// Shutdown: afterwards the number may be another file's.
func (d *Driver) Fd() int { return d.poll.Fd() }

// Turn waits for events for up to max (0: not at all, negative: for ever),
// dispatches them, and returns how many there were. It makes goroutines
// runnable; for their code to run meanwhile, see Config.Between. After Shutdown it
// returns ErrShutdown, as Park and ParkTimeout do.
func (d *Driver) Turn(max time.Duration) (int, error) {
	h := d.handle
	h.counters.turns.Add(1)
	h.registrations.releasePending()
	if err := d.poll.Poll(d.events, max); err != nil {
		return 0, asShutdown(err)
	}
	n := d.events.Len()
	look := false // at the rings
	d.batch, d.woken = d.batch[:0], d.woken[:0]
	for i := range n {
		switch event := d.events.At(i); event.Token {
		case TokenWakeup:
			look = true
		case TokenSignal:
			d.signal.Store(true)
		default:
			d.batch = append(d.batch, event)
		}
	}
	if look {
		h.dispatchCompletions()
	}
	d.announce()
	return n, nil
}

// announce tells the turn's registrations what they are ready for.
func (d *Driver) announce() {
	if len(d.batch) == 0 {
		return
	}
	counters := &d.handle.counters
	d.news = d.handle.registrations.find(d.news[:0], d.batch)
	for _, n := range d.news {
		io := &n.registration.io
		if bits := io.announce(n.ready); bits != 0 {
			d.woken = append(d.woken, sleeper{io, bits})
		}
	}
	for i, s := range d.woken {
		if i > 0 && d.between != nil {
			d.between(i, len(d.woken)-i)
		}
		s.io.send(s.bits, i == max(len(d.woken)-2, 0))
	}
	counters.events.Add(uint64(len(d.batch)))
	if stale := len(d.batch) - len(d.news); stale > 0 {
		counters.staleEvents.Add(uint64(stale))
	}
	clear(d.news) // keeps nothing alive
	clear(d.woken)
}

// sleeper is somebody whom a turn wakes. The scheduler runs the one that was
// woken last first, and the others in order: of several, the last but one is the
// last to run.
type sleeper struct {
	io   *ScheduledIO
	bits uint64
}

// Woke is how many sleepers in ScheduledIO.Wait the last turn has woken.
func (d *Driver) Woke() int { return len(d.woken) }

// Park turns the driver once, waiting for as long as it takes. Unpark ends it.
func (d *Driver) Park() error { return d.ParkTimeout(-1) }

// ParkTimeout is Park with a limit: 0 does not wait, below 0 is no limit.
func (d *Driver) ParkTimeout(max time.Duration) error {
	_, err := d.Turn(max)
	return err
}

// ConsumeSignalReady tells whether the signal receiver has become readable
// since it was last asked. What can be read from it has to be read then:
// there is no second event for the same bytes.
func (d *Driver) ConsumeSignalReady() bool { return d.signal.Swap(false) }

// Shutdown refuses new work, wakes whoever waits for a registration, with
// ErrShutdown, and cancels the requests in flight, which end with ECANCELED. Who
// waits for a request that the kernel does not give back goes on waiting: the
// kernel may still be at its memory. It returns when the kernel has given
// everything back, or else when ctx has ended and so has the patience of every
// HoldOp, with a *ShutdownError that names what it has not. A second call does
// nothing and returns nil.
func (d *Driver) Shutdown(ctx context.Context) error {
	if d.closed {
		return nil
	}
	d.closed = true
	h := d.handle
	stuck := h.Drain(ctx)
	err := errors.Join(h.waker.Close(), d.poll.Close())
	if len(stuck) > 0 {
		cause := context.Cause(ctx)
		return errors.Join(err, &ShutdownError{Stuck: stuck, Cause: cause})
	}
	return err
}
