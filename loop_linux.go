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
	driver     *driver.Driver
	handle     *driver.Handle
	gate       gate
	parkAtOnce bool // Config.ParkAtOnce
	watch      *watch
	turns      sync.Mutex   // held by whoever turns the driver
	own        bool         // it is the loop itself; guarded by turns
	left       atomic.Int32 // those whom a turn has yet to wake, while it lets others run,
	since      atomic.Int64 // and since when it does
	waking     atomic.Bool  // somebody whom the last turn woke does not run yet

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
	l := &loop{watch: w, ended: make(chan struct{})}
	cfg.Between = l.between
	drv, err := driver.New(cfg)
	if err != nil {
		return nil, err
	}
	l.driver, l.handle = drv, drv.Handle()
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
			// Nobody turns it any more: who waits is told, and who comes later.
			over, cancel := context.WithCancel(context.Background())
			cancel()
			l.handle.Drain(over)
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
		l.own = true
		n, err := l.turnOnce()
		l.own = false
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

// A turn of the loop's own wakes wakesAtOnce goroutines, or a wakeShare-th of all
// that it has to wake, before it lets them run. Those whom it has woken wait in the
// queue of the thread that it runs on. If the kernel takes the processor away from
// that thread, for another process, say, they wait for as long as it does,
// milliseconds. The loop goes on elsewhere: it is in everybody's queue.
const (
	wakesAtOnce = 4
	wakeShare   = 8
)

// between lets those run whom a turn has woken.
func (l *loop) between(woken, left int) {
	if !l.own || left < 2 || woken%max(wakesAtOnce, (woken+left)/wakeShare) != 0 {
		return
	}
	if l.watch.rounds.behind.Load() || runtime.GOMAXPROCS(0) == 1 {
		return // the loop would queue up behind goroutines that compute; there is only one queue
	}
	l.since.Store(int64(sinceStart()))
	l.left.Store(int32(left))
	l.watch.happened(0) // a round finds out if it takes long
	runtime.Gosched()
	l.left.Store(0)
}

// stuck is how many the loop has yet to wake, if it has let others run and has
// not got back to it for long.
func (l *loop) stuck(now time.Duration) int {
	left := l.left.Load() // first: since is set before it
	if now-time.Duration(l.since.Load()) <= roundLate {
		return 0
	}
	return int(left)
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

// round turns the driver if nobody else does, and if that could help: while
// somebody is waking, a processor is what is lacking. It returns how many events
// there were.
func (l *loop) round() int {
	if l.isWaking() || !l.turns.TryLock() {
		return 0
	}
	defer l.turns.Unlock()
	n, _ := l.turnOnce() // an error ends the loop, which gets it, too
	return n
}

// isWaking reports whether somebody whom the last turn woke does not run yet, but
// will soon. How long the queue is, is known while the loops are behind.
func (l *loop) isWaking() bool {
	return l.waking.Load() && (l.watch.queue.isShort() || !l.watch.rounds.behind.Load())
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
