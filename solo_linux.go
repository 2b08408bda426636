package eddy

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
	"github.com/eddyio/eddy/poll"
)

// solo makes a reader wait in the kernel for each reply, if its connection is
// the only one at work and the replies are quick: a client of a server near by.
//
// A loop is worth its hand-over when many connections share it. One alone pays
// for it with every request: the loop's goroutine is woken, and wakes the reader,
// for whom the scheduler starts another thread, which finds nothing to do and is
// in the peer's way. std's reader is found by the scheduler, which spins for a
// moment before it lets a processor go idle; a solo reader does that itself.
//
//	socket    when                                        becomes
//	--------  ------------------------------------------  ---------------------
//	in loop   soloStreak waits in a row in which nobody   solo: the loop is not
//	          else had an event, of less than soloWait    told of its data
//	          on average; the loops are on time, and
//	          enterSolo has room for one more
//	solo      a wait for more than soloSpin and           in loop, for soloPause
//	          soloHold, or for other than a plain read    waits at least
//	solo      others have events, or the loops fall       in loop
//	          behind
//
// Guarded by the socket's reads.
type solo struct {
	on     bool
	streak int16
	seen   uint32        // the loops' events at the last wait, as far as it has room for them
	begun  time.Duration // when the streak began
}

const (
	soloStreak = 16
	soloPause  = 16
	soloEvents = 1 // of all loops during a wait, its own included: nobody else's
	soloWait   = 200 * time.Microsecond
	soloSpin   = 30 * time.Microsecond  // of looking, and then
	soloHold   = 100 * time.Microsecond // of waiting in the kernel
)

// reply waits for the reply to a solo socket, and reports whether it has come; if
// so, it may have read it, or EAGAIN says that it has not. If it has not come, the
// socket is in its loop again.
func (s *socket) reply(p []byte) (n int, errno syscall.Errno, come bool) {
	w := s.loop.watch
	if !s.undisturbed(w) || w.rounds.behind.Load() {
		s.leaveSolo(0)
		return 0, 0, false
	}
	for begun := sinceStart(); sinceStart()-begun < soloSpin; {
		// An error is told once: the next read would not get it.
		if n, errno = sys.Receive(s.fd, p); errno != unix.EAGAIN {
			return n, errno, true
		}
	}
	if sys.AwaitReadable(s.fd, int64(soloHold)) {
		s.io().Set(poll.ReadyReadable)
		return 0, unix.EAGAIN, true
	}
	s.leaveSolo(-soloPause)
	return 0, 0, false
}

// undisturbed reports whether nobody else had an event since it was last asked.
func (s *socket) undisturbed(w *watch) bool {
	events := uint32(w.events.Load())
	few := events-s.solo.seen <= soloEvents
	s.solo.seen = events
	return few
}

// considerSolo counts a wait in the loop, and makes the socket solo when it is time.
func (s *socket) considerSolo() {
	w := s.loop.watch
	solo := &s.solo
	if !s.undisturbed(w) {
		solo.streak = min(solo.streak, 0)
		return
	}
	solo.streak++
	switch {
	case solo.streak == 1:
		solo.begun = sinceStart()
	case solo.streak > soloStreak:
		quick := sinceStart()-solo.begun < soloStreak*soloWait
		solo.streak = -soloPause
		if quick && !w.rounds.behind.Load() && w.enterSolo() {
			s.enterSolo()
		}
	}
}

func (s *socket) enterSolo() {
	if s.registration.Reregister(0, poll.Readable) != nil {
		s.loop.watch.solos.Add(-1)
		return
	}
	s.solo.on = true
}

// leaveSolo puts the socket back in its loop, which announces what has come
// meanwhile.
func (s *socket) leaveSolo(streak int16) {
	s.solo.on, s.solo.streak = false, streak
	s.loop.watch.solos.Add(-1)
	s.tellLoop()
}

// tellLoop makes the loop announce the socket's data again, and what has come
// meanwhile.
func (s *socket) tellLoop() {
	// It fails only for a socket that is closed, or shut down with its driver.
	_ = s.registration.Reregister(poll.Readable, 0)
}

// enterSolo reports whether one more socket may be solo: each occupies a
// processor while it waits, and its peer may be on this machine and need one.
func (w *watch) enterSolo() bool {
	if w.solos.Add(1) <= max(1, int32(runtime.GOMAXPROCS(0)/2)) {
		return true
	}
	w.solos.Add(-1)
	return false
}
