package eddy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// loop turns a driver.Driver. It is a goroutine that is parked in Go's own
// poller until the driver's descriptor is readable: it blocks no thread.
type loop struct {
	driver *driver.Driver
	handle *driver.Handle
	gate   gate
	noGate bool
	watch  *watch
	turns  sync.Mutex   // held by whoever turns the driver
	relief atomic.Int64 // when a reader last turned it
	waking atomic.Bool  // somebody whom the last turn woke does not run yet

	sockets atomic.Int64 // open now

	file  *os.File // the driver's epoll instance, duplicated
	after func()   // called after each turn
	ended chan struct{}
	fail  error // why the loop has ended early
}

// eventsPerTurn is how many readiness events a turn takes at most. One that
// took so many may have left some.
const eventsPerTurn = 128

// newLoop makes a driver, which start begins to turn.
func newLoop(cfg driver.Config, w *watch) (*loop, error) {
	drv, err := driver.New(cfg)
	if err != nil {
		return nil, err
	}
	l := &loop{driver: drv, handle: drv.Handle(), watch: w, ended: make(chan struct{})}
	fd, err := unix.FcntlInt(uintptr(drv.Fd()), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		// os.NewFile gives only non-blocking descriptors to the poller.
		if err = unix.SetNonblock(fd, true); err != nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("fcntl", err), drv.Shutdown(context.Background()))
	}
	l.file = os.NewFile(uintptr(fd), "eddy")
	return l, nil
}

// start begins to turn the driver, and calls after, if it is not nil, after each
// turn.
func (l *loop) start(after func()) error {
	conn, err := l.pollable()
	if err != nil {
		return errors.Join(err, l.file.Close(), l.driver.Shutdown(context.Background()))
	}
	l.after = after
	go func() {
		defer close(l.ended)
		err := conn.Read(func(uintptr) bool { return !l.turn() })
		if !errors.Is(err, os.ErrDeadlineExceeded) { // which is stop's
			l.fail = errors.Join(l.fail, err)
		}
	}()
	return nil
}

// pollable is the file's descriptor, if Go's poller has taken it: os.NewFile does
// not tell, and without it the loop would end after its first turn.
func (l *loop) pollable() (syscall.RawConn, error) {
	if err := l.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("eddy: Go's poller has not taken the event loop's descriptor, "+
			"as when fs.epoll.max_user_watches is reached, epoll(7): %w", err)
	}
	return l.file.SyscallConn()
}

// turn empties the driver, without waiting, and reports whether there will be
// anything more to do.
func (l *loop) turn() bool {
	for {
		l.turns.Lock()
		n, err := l.turnOnce()
		l.turns.Unlock()
		if err != nil {
			l.fail = err
			return false
		}
		if n > 0 {
			l.watch.turn(n)
		}
		if n < eventsPerTurn {
			return true
		}
		runtime.Gosched()
	}
}

func (l *loop) turnOnce() (int, error) {
	l.waking.Store(true)
	n, err := l.driver.Turn(0)
	if l.driver.Woke() == 0 {
		l.waking.Store(false)
	}
	if err == nil && l.after != nil {
		l.after()
	}
	return n, err
}

// round turns the driver if nobody else does, and if that could help: while those
// whom the last turn woke have not all got to run, what they lack is a processor.
// It returns how many events there were.
func (l *loop) round() int {
	if l.waking.Load() || !l.turns.TryLock() {
		return 0
	}
	defer l.turns.Unlock()
	n, _ := l.turnOnce() // an error ends the loop, which gets it, too
	return n
}

// reliefRest is the least time between two readers who relieve the loop.
const reliefRest = 100 * time.Microsecond

// relieve turns the driver in place of a loop that is behind. A reader does it
// before it looks once more for itself: as long as looks find something, one
// reader after the other keeps its processor, and none of them would ever learn
// that others have data, too. It returns how many events there were.
func (l *loop) relieve(now time.Duration) int {
	last := l.relief.Load()
	if int64(now)-last < int64(reliefRest) || !l.relief.CompareAndSwap(last, int64(now)) {
		return 0
	}
	n := l.round()
	l.watch.relief.Add(uint64(n))
	return n
}

// stop ends the loop and shuts its driver down.
func (l *loop) stop(ctx context.Context) error {
	// A deadline in the past wakes the loop; closing the file ends it.
	_ = l.file.SetReadDeadline(time.Unix(1, 0))
	<-l.ended
	l.turns.Lock() // a round may be under way, and later ones find the driver shut down
	defer l.turns.Unlock()
	return errors.Join(l.fail, l.file.Close(), l.driver.Shutdown(ctx))
}
