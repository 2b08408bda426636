package eddy

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/uring"
)

// plainEngine is Linux without a ring: plain system calls.
type plainEngine struct{}

func (plainEngine) transfer(t transfer) (int, error) { return call(t) }

func (e plainEngine) abandonable(t transfer, s *stops) (int, error) {
	return offloadTransfer(e, t, s)
}

func (plainEngine) batch(b *batch, s *stops) { b.spread(s) }

// call makes the system call a transfer stands for.
func call(t transfer) (n int, err error) {
	for {
		switch {
		case t.kind == kindSync:
			err = syscall.Fsync(t.file.fd)
		case t.kind == kindRead && t.off == atCursor:
			n, err = syscall.Read(t.file.fd, t.p)
		case t.kind == kindRead:
			n, err = syscall.Pread(t.file.fd, t.p, t.off)
		case t.off == atCursor:
			n, err = syscall.Write(t.file.fd, t.p)
		default:
			n, err = syscall.Pwrite(t.file.fd, t.p, t.off)
		}
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// ringEngine takes the ring where that is faster, or asked for, and a plain
// system call where it is not.
type ringEngine struct {
	handle   *driver.Handle
	choosers [2][kinds]chooser // by whether the caller may leave, and by transferKind
	forced   bool              // the ring and nothing else

	off atomic.Bool // DisableRing was called; read before each request

	directs, rings atomic.Uint64 // operations that cannot be abandoned, by the path they took
}

func newRingEngine(h *driver.Handle, forced bool) *ringEngine {
	e := &ringEngine{handle: h, forced: forced}
	e.initChoosers(runtime.GOMAXPROCS(0), processorTime)
	return e
}

func (e *ringEngine) initChoosers(procs int, used func() time.Duration) {
	for k := range transferKind(kinds) {
		for _, abandonable := range []bool{false, true} {
			e.chooser(k, abandonable).init(fewOf(k, abandonable, procs), procs, used)
		}
	}
}

// chooser is that of a kind of transfers, which may be abandoned or not.
func (e *ringEngine) chooser(k transferKind, abandonable bool) *chooser {
	if abandonable {
		return &e.choosers[1][k]
	}
	return &e.choosers[0][k]
}

func (e *ringEngine) metrics(m *Metrics) {
	m.Direct = e.directs.Load()
	m.Ring = e.rings.Load()
	for i := range e.choosers {
		for k := range e.choosers[i] {
			c := &e.choosers[i][k]
			m.Trials += c.trials.Load()
			m.Flips += c.flips.Load()
			m.Saturated = m.Saturated || c.now() == onDirect
		}
	}
}

// opOf is the ring's operation for each kind of transfer.
var opOf = [...]uring.Op{kindRead: uring.OpRead, kindWrite: uring.OpWrite, kindSync: uring.OpFsync}

// usable tells whether the ring can do it, and sets the ring up at first.
func (e *ringEngine) usable(k transferKind) bool { return e.has(opOf[k]) }

// has is usable for any operation.
func (e *ringEngine) has(op uring.Op) bool {
	if e.off.Load() {
		return false
	}
	ok, err := e.handle.CheckAndInit(op)
	return ok && err == nil
}

// transfer picks a path. Writes to the page cache are plain calls always: a
// ring makes them slower.
func (e *ringEngine) transfer(t transfer) (int, error) {
	if t.kind != kindRead && t.file.kind != kindDirect && !e.forced {
		return call(t)
	}
	if e.off.Load() {
		e.directs.Add(1)
		return call(t)
	}
	ticket := e.chooser(t.kind, false).begin()
	defer ticket.by.done(ticket)
	if (e.forced || ticket.path == pathRing) && e.usable(t.kind) {
		if n, err := e.onRing(t, ticket); err != errNotOnRing {
			e.rings.Add(1)
			return n, err
		}
	}
	e.directs.Add(1)
	return call(t)
}

// onRing does the transfer with the caller's memory.
func (e *ringEngine) onRing(t transfer, ticket ticket) (int, error) {
	r := borrowing(t)
	r.Timed = ticket.timed
	if err := e.register(&r.Op); err != nil {
		return 0, err
	}
	r.Wait()
	r.observe(ticket)
	return e.collect(t, r)
}

// register hands a request to the ring. Its errors are ErrShutdown and
// errNotOnRing.
func (e *ringEngine) register(o *driver.Op) error {
	err := e.handle.RegisterOp(o)
	if err == nil || errors.Is(err, driver.ErrShutdown) {
		return err
	}
	return errNotOnRing
}

// wait waits for a request. An error says that the caller is out of it: the
// request is the driver's.
func (e *ringEngine) wait(o *driver.Op, s *stops) error {
	if !o.Park() {
		return nil
	}
	err := s.wait(o.Done())
	if err == nil || e.handle.CancelOp(o) {
		return err
	}
	<-o.Done() // it has completed after all
	return nil
}

// observe tells the chooser what a completed request has taken.
func (r *request) observe(ticket ticket) {
	if ticket.timed {
		added, whole := r.Delay()
		ticket.by.observe(ticket, added, whole)
	}
}

// errNotOnRing says that a plain call has to do what the ring did not.
var errNotOnRing = errors.New("eddy: not on the ring")

// outcome reads a completion's result.
//
//	EAGAIN      the file cannot wait asynchronously (XFS, odd file systems):
//	            a plain call waits
//	EOPNOTSUPP  the operation exists, but not for this file system: likewise
//	EINVAL      the request may be wrong, or too new for the file system: a
//	            plain call knows which
//	EBADF       the file was not opened for this, or has no offsets: likewise
//	EPERM       the file says no, or a sandbox does that the process has
//	EACCES      entered since the ring was made, to io_uring_enter(2)
//	ENOSYS      itself: a plain call knows which
//	ECANCELED   only a shutdown cancels what nobody gave up
//	EBADR       the kernel lost the answer
func outcome(res int32) (int, error) {
	if res >= 0 {
		return int(res), nil
	}
	switch errno := syscall.Errno(-res); errno {
	case unix.EAGAIN, unix.EOPNOTSUPP, unix.EINVAL, unix.EBADF, unix.EPERM, unix.EACCES, unix.ENOSYS:
		return 0, errNotOnRing
	case unix.ECANCELED:
		return 0, ErrShutdown
	case unix.EBADR:
		return 0, driver.ErrLost
	default:
		return 0, errno
	}
}

// request is an Op with room for what it is about.
type request struct {
	driver.Op
	own *buffer
}

var requests = sync.Pool{New: func() any { return new(request) }}

// newRequest prepares a transfer. The caller still has to say who owns the
// memory.
func newRequest(t transfer) *request {
	r := requests.Get().(*request)
	r.own = nil
	r.Name = t.file.name
	r.Timed = false
	// The kernel is sure to finish reads and writes of a device soon; of
	// anything else nobody knows.
	blocks := t.file.mayBlock()
	r.Paced = t.file.kind == kindDirect && !blocks
	r.Entry.Flags = 0
	if blocks {
		r.Entry.Flags = uring.SQEAsync
	}
	off := uint64(t.off)
	switch t.kind {
	case kindRead:
		r.Entry.PrepRead(t.file.fd, t.p, off)
	case kindWrite:
		r.Entry.PrepWrite(t.file.fd, t.p, off)
	case kindSync:
		r.Entry.PrepFsync(t.file.fd, 0)
	}
	return r
}

// borrowing prepares a transfer with the caller's memory.
func borrowing(t transfer) *request {
	r := newRequest(t)
	r.OwnBytes(t.p)
	if t.kind == kindWrite {
		sys.KernelReads(t.p)
	}
	return r
}

// owning prepares a transfer with memory of the driver's.
func owning(t transfer) *request {
	own := lease(t)
	t.p = own.bytes
	r := newRequest(t)
	r.own, r.Hold = own, own
	r.OwnBytes(t.p)
	t.file.d.metrics.owned.Add(1)
	return r
}

// holdPatience is how long a caller that may have to leave waits in the kernel
// before it looks whether it has to, and parks.
const holdPatience = 5 * time.Millisecond

// abandonable does the transfer with memory of the driver's. While few do so
// the caller waits in the kernel, on a ring of its own; else it parks.
//
// What moves the file's own offset is not for a ring, which takes no lock on it, and
// does not move it at all if the answer comes later, as with O_DIRECT (kiocb_done in
// io_uring/rw.c).
func (e *ringEngine) abandonable(t transfer, s *stops) (int, error) {
	if t.off == atCursor || !e.usable(t.kind) {
		return plainEngine{}.abandonable(t, s)
	}
	ticket := e.chooser(t.kind, true).begin()
	defer ticket.by.done(ticket)
	n, err := e.onRingOwned(t, ticket, s)
	if err == errNotOnRing {
		return plainEngine{}.abandonable(t, s)
	}
	return n, err
}

// onRingOwned does the transfer with memory of the driver's.
func (e *ringEngine) onRingOwned(t transfer, ticket ticket, s *stops) (int, error) {
	r := owning(t)
	r.Timed = ticket.timed
	if err := e.launch(r, ticket); err != nil {
		return 0, err
	}
	if err := e.wait(&r.Op, s); err != nil {
		t.file.d.metrics.abandoned.Add(1)
		return 0, err
	}
	r.observe(ticket)
	return e.collect(t, r)
}

// launch registers the request, on a ring of its own if the direct path was
// chosen. On an error what the request owned has been released.
func (e *ringEngine) launch(r *request, t ticket) error {
	if t.path == pathDirect && !e.forced {
		if _, err := e.handle.HoldOp(holdPatience, &r.Op); err == nil {
			return nil
		}
	}
	return e.register(&r.Op)
}

// collect takes the result of a completed request and, if it was done on
// memory of the driver's, the bytes to the caller's.
func (e *ringEngine) collect(t transfer, r *request) (int, error) {
	// A request that was lost has left its hold with the driver: the kernel may
	// still be writing.
	own, kept := r.own, r.own != nil && r.Hold == nil
	r.own, r.Hold = nil, nil // Result would release it before it is copied
	res, _ := r.Result()
	if own != nil && !kept {
		if t.kind == kindRead && res > 0 {
			copy(t.p, own.bytes[:res])
		}
		own.Release()
	} else if t.kind == kindRead && res > 0 {
		sys.KernelWrote(t.p[:res])
	}
	requests.Put(r)
	return outcome(res)
}
