package eddy

import (
	"sync/atomic"
	"time"
)

// rounds makes the loops look by themselves, from time to time, whether they have
// missed something.
//
// A loop sleeps in Go's poller. While processors are idle, that wakes it within
// microseconds. While all are busy, nobody asks the poller but a watchdog, every
// 10 ms, and the loop queues up behind everybody else then. A timer is looked at
// whenever a goroutine stops running, and what it starts runs next. So a round
// that comes late, and finds more events than the loops themselves have since it
// was decided upon, shows that processors are taken. It is proof that the loops
// are behind if goroutines compute. While it is so, rounds are what turns them.
// (Goroutines that sit in system calls, such as fsync, take processors, too, but
// the scheduler takes those back from them soon, and what helps against goroutines
// that compute would only be in the way.)
//
//	loops    a round that                      become   next round
//	-------  --------------------------------  -------  -------------------------
//	any      is proof                          behind   after roundFast
//	behind   is not, roundPatience in a row    on time  as below
//	on time  is not, twice in a row            on time  with the first event after
//	                                                    roundRest
//
// A round that is on time leaves the turning to the loops, even if they are
// behind: where goroutines run briefly, everybody's turn comes soon, and to jump
// the queue would only be unfair.
//
// While all is well there is mostly no timer. An idle processor that has one to
// wait for goes to sleep at a higher price: it costs a fifth of what a request
// does on a machine with little to do.
type rounds struct {
	behind  atomic.Bool
	resting atomic.Bool
	rest    atomic.Int64 // until when there are no rounds, while resting
	empty   int          // rounds in a row that proved nothing; for the round only
}

const (
	roundFast     = 500 * time.Microsecond
	roundRest     = 50 * time.Millisecond
	roundLate     = 250 * time.Microsecond
	roundPatience = 32
)

func (r *rounds) init() { r.resting.Store(true) }

// happened says that a loop has had events, and reports whether rounds have to
// begin again, with one after roundFast.
func (r *rounds) happened(now time.Duration) bool {
	return r.resting.Load() && int64(now) >= r.rest.Load() && r.resting.CompareAndSwap(true, false)
}

// went draws the conclusion from a round: whether it was proof. It reports
// whether there is to be another after roundFast, and whether the loops have just
// fallen behind.
func (r *rounds) went(proof bool, now time.Duration) (again, fell bool) {
	if proof {
		r.empty = 0
		return true, !r.behind.Swap(true)
	}
	r.empty++
	if r.empty < 2 || r.behind.Load() && r.empty < roundPatience {
		return true, false
	}
	r.empty = 0
	r.behind.Store(false)
	r.rest.Store(int64(now + roundRest))
	r.resting.Store(true)
	return false, false
}
