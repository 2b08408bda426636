package eddy

import (
	"errors"
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

// apart is a socket's own place in Go's poller, where its reader waits as long as
// connections are few, or have little to do.
//
// A loop is worth its hand-over where its turns find many events. Where they find
// one at a time, the hand-over costs more than everything else together: the loop
// wakes the reader, for whom the scheduler starts another thread, which finds
// nothing to do. A goroutine that waits in Go's poller runs on the thread that
// has waited there. The price is a read that is known to fail before each wait, as
// in package net, and a second descriptor.
//
//	socket   when                                           becomes
//	-------  ---------------------------------------------  -------------------
//	in loop  apartStreak waits in which the loops found     apart: the loop is
//	         apartDensity events in a turn or fewer, on     not told of its
//	         average, there is no crowd, and more than one  data
//	         processor
//	apart    there is a crowd, asked before each wait:      in loop
//	         goroutines compute, the loops are behind, or
//	         the process is busy, see occupancy, and has
//	         more than apartFew sockets
//	apart    in apartReview waits nobody else has had       in loop, on the way
//	         events, and replies were quick                 to being solo
//	apart    a review finds that there is only one          in loop, for
//	         processor                                      apartPause waits at
//	                                                        least
//	apart    it turns out to be readable with nothing to    the same
//	         read, Go's poller gives the descriptor up, or
//	         the driver shuts down
//
// Sockets of datagrams and listening sockets are apart from the first wait on: one
// of them does the work of many connections, and no loop has to find others beside
// it. Only the last row is for them, too.
//
// It is made, used and closed by whoever holds the socket's reads. Others only
// rouse who waits in it.
type apart struct {
	file *os.File // a duplicate of the socket: what is in Go's poller stays there until it is closed
	conn syscall.RawConn

	// receive reads into p, and keeps what recvfrom(2) said.
	receive func(uintptr) bool
	p       []byte
	n       int
	errno   syscall.Errno

	// look looks whether there is something to read, and if so, says that it has
	// found that at once, without having slept.
	look  func(uintptr) bool
	found bool

	tries int // of either

	// Since the last review:
	waits     int
	disturbed bool // somebody else has had an event
	since     time.Duration
}

// parting is what a socket in its loop knows of whether it should be apart.
// Guarded by the socket's reads.
type parting struct {
	waits         int32
	events, turns uint32 // of all loops, at the first of them, as far as there is room
}

const (
	apartStreak  = 4
	apartDensity = 2
	apartReview  = 64 // waits after which an apart socket asks whether it should be
	apartFew     = 12 // sockets
	apartPause   = 4096

	// At most so many sockets are apart, and no more than this part of the
	// descriptors that the process may have.
	apartMost  = 1024
	apartShare = 16
)

// partAtOnce makes every socket apart with its first wait, and for good: for tests.
var partAtOnce bool

// aparts is the sockets that are apart.
type aparts struct {
	mu      sync.Mutex
	sockets map[*socket]struct{}
	most    int // 0: not known yet
	ended   atomic.Bool
}

// add reports whether there is room for one more.
func (a *aparts) add(s *socket) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.most == 0 {
		a.most = apartMost
		var limit unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
			a.most = int(min(limit.Cur/apartShare+1, apartMost))
		}
		a.sockets = make(map[*socket]struct{})
	}
	if len(a.sockets) >= a.most || a.ended.Load() {
		return false
	}
	a.sockets[s] = struct{}{}
	return true
}

func (a *aparts) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.sockets)
}

func (a *aparts) remove(s *socket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sockets, s)
}

// end makes all sockets rejoin their loops, whose end wakes them.
func (a *aparts) end() {
	a.ended.Store(true)
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.sockets {
		s.rouse(driver.Reading)
	}
}

// newApart puts a duplicate of the socket in Go's poller.
func newApart(fd int) (*apart, error) {
	twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	a := &apart{file: os.NewFile(uintptr(twin), "eddy")}
	// It fails if Go's poller has not taken it, as when somebody has made the
	// socket a blocking one.
	if err = a.file.SetReadDeadline(time.Time{}); err == nil {
		a.conn, err = a.file.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(err, a.file.Close())
	}
	a.receive = func(fd uintptr) bool {
		a.tries++
		a.n, a.errno = sys.Receive(int(fd), a.p)
		return a.errno != unix.EAGAIN
	}
	a.look = func(fd uintptr) bool {
		a.tries++
		a.found = a.tries == 1 && sys.IsReadable(int(fd))
		return a.found || a.tries > 1
	}
	return a, nil
}

// considerParting counts a wait in the loop, and makes the socket apart when it is time.
func (s *socket) considerParting() {
	p, w := &s.parting, s.loop.watch
	p.waits++
	if p.waits == 1 {
		p.events, p.turns = uint32(w.looped.Load()), uint32(w.turns.Load())
	}
	if partAtOnce || s.staysApart && p.waits > 0 {
		s.part()
		return
	}
	if p.waits < apartStreak {
		return
	}
	p.waits = 0
	events, turns := uint32(w.looped.Load())-p.events, uint32(w.turns.Load())-p.turns
	sparse := uint64(events) <= apartDensity*uint64(turns)
	if sparse && !w.crowded() && runtime.GOMAXPROCS(0) > 1 {
		s.part()
	}
}

// crowded reports whether the process is busy with more than a few sockets, or
// goroutines compute, or the loops have fallen behind.
func (w *watch) crowded() bool {
	return w.occupancy.computing.Load() || w.rounds.behind.Load() || w.occupancy.busy.Load() && w.sockets() > apartFew
}

// sockets is how many are open.
func (w *watch) sockets() (n int64) {
	for _, l := range w.loops() {
		n += l.sockets.Load()
	}
	return n
}

// part makes the socket apart, if it can be.
func (s *socket) part() {
	w := s.loop.watch
	if !w.aparts.add(s) {
		s.parting.waits = -apartPause
		return
	}
	a, err := newApart(s.fd)
	if err == nil {
		err = s.registration.Reregister(0, poll.Readable)
	}
	if err != nil { // for want of descriptors, say: the loop does as well
		if a != nil {
			_ = a.file.Close()
		}
		w.aparts.remove(s)
		s.parting.waits = -apartPause
		return
	}
	a.since = sinceStart()
	s.apart.Store(a)
}

// rejoin puts the socket back in its loop, which announces what has come
// meanwhile.
func (s *socket) rejoin(a *apart, waits int32) {
	s.endApart(a)
	s.parting.waits = waits
	s.tellLoop()
}

// endApart gives up the place in Go's poller.
func (s *socket) endApart(a *apart) {
	s.apart.Store(nil)
	s.loop.watch.aparts.remove(s)
	_ = a.file.Close() // a duplicate: nothing is lost
}

// receiveApart waits for something to read, and reads it, as recvfrom(2) does;
// EAGAIN says that there is other news. It reports false if the socket is in its
// loop again, without having waited.
func (s *socket) receiveApart(a *apart, p []byte) (n int, errno syscall.Errno, waited bool) {
	a.p, a.n, a.errno = p, 0, unix.EAGAIN
	waited = s.awaitApart(a, a.receive, s.kind&isStream != 0)
	a.p = nil
	return a.n, a.errno, waited
}

// lookApart waits until there may be something to read, or there is other news. If
// there was something at once, the readiness says so, and there may be more. It
// reports false if the socket is in its loop again, without having waited.
func (s *socket) lookApart(a *apart) (waited bool) {
	a.found = false
	waited = s.awaitApart(a, a.look, false)
	if a.found {
		s.io().Set(poll.ReadyReadable)
	}
	return waited
}

// distrust puts an apart socket that is readable with nothing to read, such as one
// with messages in its error queue, back in its loop: Go's poller would not let it
// sleep.
func (s *socket) distrust() {
	if a := s.apart.Load(); a != nil {
		s.rejoin(a, -apartPause)
	}
}

// awaitApart waits until try says that it has ended, or there is other news. It
// reports false if the socket is in its loop again, without having waited.
func (s *socket) awaitApart(a *apart, try func(uintptr) bool, maySolo bool) (waited bool) {
	if stay, pause := s.review(a, maySolo); !stay {
		s.rejoin(a, pause)
		return false
	}
	for !s.loop.watch.aparts.ended.Load() {
		// Whoever rouses has changed this first.
		seen := s.io().Readiness()
		if seen.Ready(driver.Reading) != 0 || seen.Ended(driver.Reading) || seen.IsInterrupted(driver.Reading) {
			return true
		}
		a.tries = 0
		err := a.conn.Read(try)
		if a.tries > 1 {
			s.taken = 0 // it has slept
		}
		if err == nil {
			s.loop.watch.happened(1)
			return true
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = a.file.SetReadDeadline(time.Time{})
		}
		if err != nil {
			// Go's poller gives up descriptors with nothing but an error, such
			// as those with messages in their error queue.
			break
		}
	}
	s.rejoin(a, -apartPause)
	return false
}

// rouse makes who waits for an apart socket look at its readiness, which the
// caller has changed.
func (s *socket) rouse(side driver.Side) {
	if side != driver.Reading {
		return
	}
	if a := s.apart.Load(); a != nil {
		_ = a.file.SetReadDeadline(time.Unix(1, 0)) // or it is closed, and nobody waits
	}
}

// review counts a wait, and reports whether the socket is to stay apart; if not,
// after how many waits in its loop it may part again. One that may be solo leaves
// in order to be.
func (s *socket) review(a *apart, maySolo bool) (stay bool, pause int32) {
	w := s.loop.watch
	if partAtOnce || s.staysApart {
		return true, 0
	}
	if w.crowded() {
		return false, 0
	}
	if !s.undisturbed(w) {
		a.disturbed = true
	}
	if a.waits++; a.waits < apartReview {
		return true, 0
	}
	alone, now := !a.disturbed, sinceStart()
	age := now - a.since
	a.waits, a.disturbed, a.since = 0, false, now
	if maySolo && alone && age < apartReview*soloWait && !s.loop.parkAtOnce {
		return false, -2 * soloStreak
	}
	return runtime.GOMAXPROCS(0) > 1, -apartPause
}
