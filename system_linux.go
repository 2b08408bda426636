package eddy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/poll"
	"github.com/eddyio/eddy/probe"
	"github.com/eddyio/eddy/uring"
)

// linux is a driver.Driver and the loop that turns it. The loop is a goroutine
// that is parked in Go's own poller until the driver's descriptor is readable:
// it blocks no thread.
type linux struct {
	driver *driver.Driver
	handle *driver.Handle
	choose chooser
	loop   *os.File // the driver's epoll instance, duplicated
	ended  chan struct{}
	pipe   signalPipe
	fail   error // why the loop has ended early
}

func (d *Driver) start() error {
	if d.cfg.Backend == BackendPortable {
		d.startPortable()
		return nil
	}
	drv, err := driver.New(d.cfg.driver())
	if err != nil {
		return err
	}
	l := &linux{driver: drv, handle: drv.Handle(), ended: make(chan struct{})}
	if err := l.start(d); err != nil {
		return errors.Join(err, drv.Shutdown(context.Background()))
	}
	d.system = l
	d.backend = BackendURing
	d.inlines = true
	l.choose.init(runtime.GOMAXPROCS(0))
	d.engine = &ringEngine{handle: l.handle, choose: &l.choose, forced: d.cfg.Backend == BackendURing}
	switch d.cfg.Backend {
	case BackendEpoll:
		d.backend = BackendEpoll
		d.engine = plainEngine{}
	case BackendURing:
		d.inlines = false
		if ok, _ := l.handle.CheckAndInit(uring.OpRead); !ok {
			err := fmt.Errorf("eddy: backend uring: %w", l.whyNot())
			return errors.Join(err, d.system.shutdown(context.Background()))
		}
	}
	return nil
}

// whyNot turns the recorded fallback into an error.
func (l *linux) whyNot() error {
	for _, f := range l.handle.Fallbacks() {
		if f.Wanted == "io_uring" && f.Err != nil {
			return fmt.Errorf("%w: %s (%w)", driver.ErrNoRing, f.Reason, f.Err)
		}
	}
	return fmt.Errorf("%w: %s", driver.ErrNoRing, probe.ReasonMissingOp)
}

// start begins to turn the driver.
func (l *linux) start(d *Driver) error {
	fd, err := unix.FcntlInt(uintptr(l.driver.Fd()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	l.loop = os.NewFile(uintptr(fd), "eddy")
	conn, err := l.loop.SyscallConn()
	if err == nil {
		err = l.pipe.open(l.handle)
	}
	if err != nil {
		return errors.Join(err, l.loop.Close())
	}
	go func() {
		defer close(l.ended)
		// The error is that the file was closed.
		_ = conn.Read(func(uintptr) bool { return !l.turn(d) })
	}()
	return nil
}

// turn empties the driver, without waiting, and reports whether there will be
// anything more to do.
func (l *linux) turn(d *Driver) bool {
	for {
		n, err := l.driver.Turn(0)
		if err != nil {
			l.fail = err
			return false
		}
		if l.driver.ConsumeSignalReady() {
			l.pipe.drain()
			d.signals.deliver()
		}
		if n < eventsPerTurn {
			return true
		}
		runtime.Gosched()
	}
}

func (l *linux) status(d *Driver) Status {
	s := Status{Backend: d.backend, Kernel: probe.Get().Kernel}
	// A driver without a ring says no at once.
	if ok, _ := l.handle.CheckAndInit(uring.OpRead); !ok {
		s.Backend = BackendEpoll
	}
	s.Submit = l.handle.SubmitMode()
	s.Fallbacks = l.handle.Fallbacks()
	return s
}

func (l *linux) metrics(m *Metrics) {
	m.Driver = l.handle.Metrics()
	m.Direct = l.choose.directs.Load()
	m.Ring = l.choose.rings.Load()
	m.Trials = l.choose.trials.Load()
	m.Flips = l.choose.flips.Load()
	m.Saturated = l.choose.now() == onDirect
}

func (l *linux) register(fd int, interest poll.Interest) (source, error) {
	return l.handle.Register(fd, interest)
}

func (l *linux) announce() { l.pipe.announce() }

// shutdown keeps the loop turning while the rings are drained, since strays are
// reaped by turns, and ends it then.
func (l *linux) shutdown(ctx context.Context) error {
	stuck := l.handle.Drain(ctx)
	// A deadline in the past wakes the loop; closing the file ends it.
	_ = l.loop.SetReadDeadline(time.Unix(1, 0))
	<-l.ended
	err := l.loop.Close()
	l.pipe.close(l.handle)
	err = errors.Join(l.fail, err, l.driver.Shutdown(ctx))
	return withStuck(err, stuck, context.Cause(ctx))
}
