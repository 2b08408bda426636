package eddy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/poll"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// linuxSystem is what a driver has besides its engine: the main loop, whose driver
// has the rings and the signals, and the other loops.
type linuxSystem struct {
	d      *Driver
	main   *loop
	handle *driver.Handle
	loops  loops
	watch  watch
	pipe   signalPipe

	inlines bool // reads look into the page cache first
}

func (d *Driver) start() error {
	if d.cfg.Backend == BackendPortable {
		d.startPortable()
		return nil
	}
	l := &linuxSystem{d: d}
	l.watch.init(l.loops.made)
	main, err := newLoop(d.cfg.driver(), &l.watch)
	if err != nil {
		return err
	}
	l.main, l.handle = main, main.handle
	l.loops.init(main, d.cfg)
	if err := l.start(); err != nil {
		return err
	}
	d.system = l
	forced := d.cfg.Backend == BackendURing
	l.inlines = !forced
	if d.cfg.Backend == BackendEpoll {
		d.backend, d.engine = BackendEpoll, plainEngine{}
		return nil
	}
	d.backend, d.engine = BackendURing, newRingEngine(l.handle, forced)
	if !forced {
		return nil
	}
	if ok, _ := l.handle.CheckAndInit(uring.OpRead); !ok {
		err := fmt.Errorf("eddy: backend uring: %w", l.whyNot())
		return errors.Join(err, d.system.shutdown(context.Background()))
	}
	return nil
}

// driver is the main loop's share of the settings.
func (c Config) driver() driver.Config {
	return driver.Config{
		Events:      eventsPerTurn,
		Submit:      c.Submit,
		RingEntries: c.RingEntries,
		Depth:       c.Depth,
		Workers:     c.Workers,
		Holds:       c.Holds,
		NoRing:      c.Backend == BackendEpoll,
	}
}

// whyNot turns the recorded fallback into an error.
func (l *linuxSystem) whyNot() error {
	for _, f := range l.handle.Fallbacks() {
		if f.Wanted == "io_uring" && f.Err != nil {
			return fmt.Errorf("%w: %s (%w)", driver.ErrNoRing, f.Reason, f.Err)
		}
	}
	return fmt.Errorf("%w: %s", driver.ErrNoRing, probe.ReasonMissingOp)
}

// start begins to turn the main loop.
func (l *linuxSystem) start() error {
	if err := l.pipe.open(l.handle); err != nil {
		return errors.Join(err, l.main.file.Close(), l.main.driver.Shutdown(context.Background()))
	}
	err := l.main.start(func() {
		if l.main.driver.ConsumeSignalReady() {
			l.pipe.drain()
			l.d.signals.deliver()
		}
	})
	if err != nil {
		l.pipe.close(l.handle)
	}
	return err
}

func (l *linuxSystem) status(s *Status) {
	// A driver without a ring says no at once.
	if ok, _ := l.handle.CheckAndInit(uring.OpRead); !ok {
		s.Backend = BackendEpoll
	}
	s.Submit = l.handle.SubmitMode()
	s.Fallbacks = l.handle.Fallbacks()
	cfg := &l.d.cfg
	for i, f := range s.Fallbacks {
		if f.Reason == probe.ReasonForced && cfg.Backend == BackendEpoll && cfg.byEnvironment {
			s.Fallbacks[i].Evidence = append(f.Evidence, environment+"="+cfg.Backend.String())
		}
	}
	if short := l.loops.short.Load(); short != nil {
		s.Fallbacks = append(s.Fallbacks, *short)
	}
}

func (l *linuxSystem) metrics(m *Metrics) {
	m.Driver = l.handle.Metrics()
	if e, ok := l.d.engine.(*ringEngine); ok {
		e.metrics(m)
	}
	l.loops.metrics(m)
	m.Solos = int64(l.watch.solos.Load())
	m.Apart = int64(l.watch.aparts.count())
}

func (l *linuxSystem) register(fd int, interest poll.Interest) (source, error) {
	return l.handle.Register(fd, interest)
}

func (l *linuxSystem) announce() { l.pipe.announce() }

// shutdown keeps the main loop turning while the rings are drained, since strays
// are reaped by turns, and ends it then.
func (l *linuxSystem) shutdown(ctx context.Context) error {
	l.watch.stop()
	l.watch.aparts.end()
	err := l.loops.shutdown(ctx)
	stuck := l.handle.Drain(ctx)
	err = errors.Join(err, l.main.stop(ctx))
	l.pipe.close(l.handle)
	return withStuck(err, stuck, context.Cause(ctx))
}

// processorTime is what the process has used of its processors.
func processorTime() time.Duration {
	all, _ := processorTimes()
	return all
}

// processorTimes is what the process has used of its processors, and what of that
// outside the kernel. getrusage(2).
func processorTimes() (all, user time.Duration) {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // it cannot fail, with these arguments
	user = time.Duration(u.Utime.Nano())
	return user + time.Duration(u.Stime.Nano()), user
}
