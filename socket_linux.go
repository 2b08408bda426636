package eddy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/poll"
)

// socket is a socket in a loop's registry.
//
// What a read or a write touches lies together. Both locks are held by whoever
// passes the descriptor to the kernel for that side; uses, for reading, by whoever
// does so for neither. Close takes all three after it has told everybody to
// leave, and so knows that nobody can hit another file with the number.
type socket struct {
	registration driver.Registration
	reads        sync.Mutex
	writes       sync.Mutex
	loop         *loop
	fd           int
	taken        int           // bytes read since the last sleep; guarded by reads
	lucky        time.Duration // since when looks have found something; guarded by reads
	kind         socketKind
	roomTold     bool  // the loop is told of room to write; guarded by writes
	deaf         bool  // the loop is not told of data, for nobody waits for any; guarded by reads
	run          uint8 // reads since the last wait, up to deafRun; guarded by reads
	staysApart   bool  // once it is apart, it stays so; see apart
	network      string
	local        net.Addr
	remote       net.Addr
	uses         sync.RWMutex
	deadlines    atomic.Pointer[expiries]     // nil: there never was one
	queues       atomic.Pointer[[2]lockQueue] // nil: nobody has waited with a context
	solo         solo
	parting      parting
	shut         atomic.Bool           // Close was called
	apart        atomic.Pointer[apart] // nil: it is not
}

// socketKind says what a socket's calls mean.
type socketKind uint8

const (
	// isStream: there are no messages, and a write may be partial.
	isStream socketKind = 1 << iota
	// endsAtZero: a read of nothing is the end, as of a connection that has
	// messages, too, where an empty one looks the same.
	endsAtZero
	// shortIsAll: a read that fills less than it was given has taken all there
	// was. So it is with TCP; with Unix sockets a read stops early where file
	// descriptors were passed, and nothing would announce the rest.
	shortIsAll
	// refusesAddress: datagrams of it go where it is connected, says std, who has
	// connected it. One that was connected before std had it takes addresses.
	refusesAddress
)

// maxSend is the most that one system call is asked to take.
const maxSend = 1 << 30

// open puts a descriptor in the loop's registry. It is the socket's from here
// on, and closed if that fails.
func (l *loop) open(fd int, kind socketKind, network string, local, remote net.Addr) (*socket, error) {
	s := &socket{loop: l, fd: fd, kind: kind, network: network, local: local, remote: remote}
	// A new connection can be written to, and more often than not read from. Of room
	// the loop is told when somebody waits for it, see wait.
	s.registration.IO().Set(poll.ReadyReadable | poll.ReadyWritable)
	err := l.handle.RegisterAt(&s.registration, fd, poll.Readable|poll.Priority)
	if err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	l.sockets.Add(1)
	return s, nil
}

func (s *socket) io() *driver.ScheduledIO { return s.registration.IO() }

// Read implements transport.
func (s *socket) Read(p []byte) (int, error) {
	s.reads.Lock()
	n, err := s.receive(p)
	s.taken += n + readWeight
	greedy := s.taken > readShare
	if greedy {
		s.taken = 0
	}
	s.reads.Unlock()
	if greedy {
		runtime.Gosched()
	}
	if err != nil && err != io.EOF {
		err = s.fail("read", err)
	}
	return n, err
}

// A reader that always finds data never sleeps, and raw system calls are no
// occasion for the scheduler to let others run: after readShare bytes, each read
// counting for readWeight more, the reader is one.
const (
	readShare  = 512 << 10
	readWeight = 512
)

// receive reads once there is something to read. The caller holds reads.
func (s *socket) receive(p []byte) (int, error) {
	io := s.io()
	for {
		seen := io.Readiness()
		if seen.Ended(driver.Reading) || seen.IsInterrupted(driver.Reading) || len(p) == 0 {
			return 0, s.ended(seen, driver.Reading, len(p))
		}
		var n int
		var errno syscall.Errno
		if seen.Ready(driver.Reading) != 0 {
			n, errno = sys.Receive(s.fd, p)
		} else if n, errno = s.awaitData(p); errno == unix.EAGAIN {
			continue
		}
		switch {
		case errno == 0:
			s.ran()
			return s.received(seen, n, len(p))
		case errno == unix.EAGAIN:
			io.Clear(seen, notReadable)
		case errno != unix.EINTR:
			return 0, os.NewSyscallError("read", errno)
		}
	}
}

// What a call that found nothing to do proves wrong. That the peer has closed
// stays true, but then there is something to do for ever; if the kernel says
// there is not, the bit was about a connection that has been connected since.
const (
	notReadable = poll.ReadyReadable | poll.ReadyReadClosed | poll.ReadyPriority | poll.ReadyError
	notWritable = poll.ReadyWritable | poll.ReadyWriteClosed | poll.ReadyError
)

// received draws the conclusions from a read that was given size bytes.
func (s *socket) received(seen driver.Readiness, n, size int) (int, error) {
	if n == 0 && s.kind&endsAtZero != 0 {
		return 0, io.EOF
	}
	// Urgent data make reads stop early, too; Priority, which announces them, stays,
	// and leads to another read.
	if n < size && s.kind&shortIsAll != 0 {
		s.io().Clear(seen, poll.ReadyReadable)
	}
	return n, nil
}

// deafRun is after how many reads without a wait the loop is no longer told of data.
const deafRun = 16

// ran counts a read. Each piece of a stream that comes while its reader is busy with
// the one before would make a turn of the loop, for nothing.
func (s *socket) ran() {
	if s.run == deafRun {
		return
	}
	if s.run++; s.run == deafRun && !s.solo.on && s.apart.Load() == nil {
		s.deaf = s.registration.Reregister(0, poll.Readable) == nil
	}
}

// paused ends the run, and makes the loop be told of data again.
func (s *socket) paused() {
	s.run = 0
	if s.deaf {
		s.deaf = false
		s.tellLoop()
	}
}

// awaitData waits for news to read. It may read on the way, as recvfrom(2) does;
// EAGAIN says that it has not.
func (s *socket) awaitData(p []byte) (int, syscall.Errno) {
	s.paused()
	if a := s.apart.Load(); a != nil {
		if n, errno, waited := s.receiveApart(a, p); waited {
			return n, errno
		}
	}
	if s.solo.on {
		if n, errno, come := s.reply(p); come {
			return n, errno
		}
	}
	if s.loop.watch.rounds.behind.Load() && s.kind&isStream != 0 && !s.loop.parkAtOnce {
		if n, errno, found := s.lookAgain(p); found {
			return n, errno
		}
	}
	s.taken, s.lucky = 0, 0
	s.wait(driver.Reading)
	s.waited()
	return 0, unix.EAGAIN
}

// wait sleeps until there is news. The caller holds the side's lock, and the loop is
// told of its data.
//
// Only who waits for room makes the loop be told of it. A new socket has room, and
// what is not TCP has news of it whenever something that was sent has left: a Unix
// socket with each read of its peer, one of UDP with each datagram.
func (s *socket) wait(side driver.Side) {
	if side == driver.Writing && !s.roomTold {
		// It fails only for a socket that is closed, or shut down with its driver.
		s.roomTold = s.registration.Reregister(poll.Writable, 0) == nil
	}
	if s.io().Wait(side) {
		s.loop.waking.Store(false)
	}
	if side == driver.Writing && s.kind&shortIsAll == 0 {
		s.roomTold = false
		_ = s.registration.Reregister(0, poll.Writable)
	}
}

// waited counts a read's wait in the loop, and takes the socket out of it when it is
// time.
func (s *socket) waited() {
	if s.kind&isStream != 0 && !s.loop.parkAtOnce {
		s.considerSolo()
	}
	if partAtOnce || s.solo.streak <= 0 && !s.solo.on {
		s.considerParting() // else it may be about to be solo
	}
}

// awaitNews waits for news to read, for other calls than recvfrom(2). It reports
// whether to make the call though the readiness does not tell of anything, and
// whether that has to find something.
func (s *socket) awaitNews() (atOnce, sure bool) {
	s.paused()
	if a := s.apart.Load(); a != nil && s.lookApart(a) {
		return true, a.found
	}
	if s.solo.on {
		s.leaveSolo(-soloPause)
	}
	s.wait(driver.Reading)
	s.considerParting()
	return false, false
}

// lookAgain is what a reader does on a saturated machine before it sleeps. It
// reports false if the reader is to sleep, which it is if others have data: they
// run when it does.
func (s *socket) lookAgain(p []byte) (n int, errno syscall.Errno, found bool) {
	gate, now := &s.loop.gate, sinceStart()
	if s.lucky == 0 {
		s.lucky = now
	}
	sleep := s.loop.relieve(now - s.lucky)
	if s.io().Readiness().Ready(driver.Reading) != 0 {
		return 0, unix.EAGAIN, true // it has learned of its own data
	}
	if sleep || !gate.mayLook(now) {
		return 0, 0, false
	}
	n, errno = sys.Receive(s.fd, p)
	if errno != unix.EAGAIN { // an error is told once: the next read would not get it
		gate.looked(errno == 0 && n > 0)
		return n, errno, true
	}
	answered := gate.mayHold(now) && sys.AwaitReadable(s.fd, int64(holdTime))
	gate.looked(answered)
	if !answered {
		return 0, 0, false
	}
	gate.answered.Add(1)
	s.io().Set(poll.ReadyReadable)
	return 0, errno, true
}

// Write implements transport.
func (s *socket) Write(p []byte) (int, error) {
	s.writes.Lock()
	n, err := s.send(p)
	s.writes.Unlock()
	if err != nil {
		err = s.fail("write", err)
	}
	return n, err
}

// send writes all of p. The caller holds writes.
func (s *socket) send(p []byte) (int, error) {
	io := s.io()
	sent := 0
	for {
		seen := io.Readiness()
		if seen.Ended(driver.Writing) || seen.IsInterrupted(driver.Writing) {
			return sent, s.ended(seen, driver.Writing, 1)
		}
		if len(p) == 0 && s.kind&isStream != 0 {
			return 0, s.sendNothing()
		}
		if seen.Ready(driver.Writing) == 0 {
			s.wait(driver.Writing)
			continue
		}
		rest := p[sent:]
		if s.kind&isStream != 0 && len(rest) > maxSend {
			rest = rest[:maxSend]
		}
		n, errno := sys.Send(s.fd, rest)
		switch {
		case errno == 0:
			sent += n
			if sent == len(p) || s.kind&isStream == 0 {
				return sent, nil
			}
		case errno == unix.EAGAIN:
			io.Clear(seen, notWritable)
		case errno != unix.EINTR:
			return sent, os.NewSyscallError("write", errno)
		}
	}
}

// sendNothing is a Write of nothing, for which there is always room. The kernel
// knows whether the side has been shut down.
func (s *socket) sendNothing() error {
	for {
		switch _, errno := sys.Send(s.fd, nil); errno {
		case unix.EINTR:
		case 0, unix.EAGAIN:
			return nil
		default:
			return os.NewSyscallError("write", errno)
		}
	}
}

// ended is why a side is not to be used. Like std, it lets a read of nothing
// pass, but for a closed connection.
func (s *socket) ended(seen driver.Readiness, side driver.Side, size int) error {
	switch {
	case seen.IsShutdown():
		if s.closed() {
			return net.ErrClosed
		}
		return ErrShutdown
	case size == 0:
		return nil
	case seen.IsExpired(side):
		return os.ErrDeadlineExceeded
	}
	return errInterrupted
}

// errInterrupted stands for a context's error.
var errInterrupted = errors.New("interrupted")

// fail says what std would, nothing of no error.
func (s *socket) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: s.network, Source: s.local, Addr: s.remote, Err: err}
}

// failSet is fail for settings, of which std tells only the local address.
func (s *socket) failSet(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: s.network, Addr: s.local, Err: err}
}

// until calls f with the side's lock held, and makes it end with the context.
func (s *socket) until(ctx context.Context, side driver.Side, f func() (int, error)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	mu := s.lockOf(side)
	if !mu.TryLock() {
		if err := s.queueOf(side).lock(ctx, mu); err != nil {
			return 0, err
		}
	}
	defer mu.Unlock()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.io().Interrupt(side)
		s.rouse(side)
		close(interrupted)
	})
	n, err := f()
	if !stop() {
		<-interrupted
		s.io().Resume(side)
	}
	if err == errInterrupted {
		err = ctx.Err()
	}
	return n, err
}

// inTurn calls f with the side's lock held, and makes it end with the context if
// that can end; if not, it allocates nothing.
func (s *socket) inTurn(ctx context.Context, side driver.Side, f func() (int, error)) (int, error) {
	if ctx.Done() != nil {
		return s.until(ctx, side, f)
	}
	mu := s.lockOf(side)
	mu.Lock()
	n, err := f()
	mu.Unlock()
	return n, err
}

// lockOf is what whoever uses the side holds.
func (s *socket) lockOf(side driver.Side) *sync.Mutex {
	if side == driver.Reading {
		return &s.reads
	}
	return &s.writes
}

func (s *socket) readContext(ctx context.Context, p []byte) (int, error) {
	if ctx.Done() == nil {
		return s.Read(p)
	}
	n, err := s.until(ctx, driver.Reading, func() (int, error) { return s.receive(p) })
	if err != nil && err != io.EOF {
		err = s.fail("read", err)
	}
	return n, err
}

func (s *socket) writeContext(ctx context.Context, p []byte) (int, error) {
	if ctx.Done() == nil {
		return s.Write(p)
	}
	n, err := s.until(ctx, driver.Writing, func() (int, error) { return s.send(p) })
	if err != nil {
		err = s.fail("write", err)
	}
	return n, err
}

// attempt calls f until it does not say EAGAIN, waiting for the side before each
// call. The caller holds the side's lock.
func (s *socket) attempt(side driver.Side, f func() error) error {
	return s.repeat(side, false, f)
}

// repeat is attempt, but at once makes the first call without having waited.
func (s *socket) repeat(side driver.Side, atOnce bool, f func() error) error {
	io := s.io()
	stale := [2]poll.Ready{notReadable, notWritable}[side]
	sure := false
	for {
		seen := io.Readiness()
		if seen.Ended(side) || seen.IsInterrupted(side) {
			return s.ended(seen, side, 1)
		}
		if !atOnce && seen.Ready(side) == 0 {
			if side == driver.Reading {
				atOnce, sure = s.awaitNews()
			} else {
				s.wait(side)
			}
			continue
		}
		atOnce = false
		switch err := f(); err {
		case unix.EAGAIN:
			io.Clear(seen, stale)
			if sure {
				s.distrust()
			}
		case unix.EINTR:
		default:
			if side == driver.Reading {
				s.ran()
			}
			return err
		}
	}
}

// closed reports whether Close was called, as opposed to the driver's end.
func (s *socket) closed() bool { return s.shut.Load() }

// Close implements transport.
func (s *socket) Close() error {
	if s.shut.Swap(true) {
		return s.fail("close", net.ErrClosed)
	}
	if both := s.deadlines.Load(); both != nil {
		both[driver.Reading].end()
		both[driver.Writing].end()
	}
	// It fails only after the registry was closed, which took all out.
	_ = s.registration.Deregister()
	s.rouse(driver.Reading)
	s.reads.Lock()
	s.writes.Lock()
	s.uses.Lock()
	if s.solo.on {
		s.loop.watch.solos.Add(-1)
	}
	if a := s.apart.Load(); a != nil {
		s.endApart(a)
	}
	s.uses.Unlock()
	s.writes.Unlock()
	s.reads.Unlock()
	// Whoever gets a lock from now on sees that Close was called, and need not
	// wait while close(2) lingers.
	err := unix.Close(s.fd)
	s.loop.sockets.Add(-1)
	return s.fail("close", os.NewSyscallError("close", err))
}

// use calls f with the descriptor, which stays open for as long. It does not
// wait for anybody who reads or writes.
func (s *socket) use(f func(fd int) error) error {
	// Only Close locks it, and f may call use, too: to wait would be a deadlock.
	if !s.uses.TryRLock() {
		return net.ErrClosed
	}
	defer s.uses.RUnlock()
	if s.closed() {
		return net.ErrClosed
	}
	return f(s.fd)
}

func (s *socket) LocalAddr() net.Addr  { return s.local }
func (s *socket) RemoteAddr() net.Addr { return s.remote }

// SetDeadline implements transport.
func (s *socket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline implements transport.
func (s *socket) SetReadDeadline(t time.Time) error { return s.setDeadline(driver.Reading, t) }

// SetWriteDeadline implements transport.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(driver.Writing, t) }

func (s *socket) setDeadline(side driver.Side, t time.Time) error {
	both := s.deadlines.Load()
	if both == nil {
		s.deadlines.CompareAndSwap(nil, new(expiries))
		both = s.deadlines.Load()
	}
	// Either this sees that Close was called, or that sees the deadlines.
	if s.closed() {
		return s.failSet("set", net.ErrClosed)
	}
	both[side].set(s, side, t)
	return nil
}

var _ syscall.Conn = (*socket)(nil)
