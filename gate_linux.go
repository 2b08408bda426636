package eddy

import (
	"sync/atomic"
	"time"
)

// gate decides what a reader does who has nothing to read: sleep at once, or
// look once more, and if that finds nothing, wait a moment in the kernel.
//
// Sleeping is cheap while there is a processor to spare. On a saturated one it
// is dear: the loop that learns of the data has to wait its turn to run, and the
// reader after it again, milliseconds each. What tells the two apart is how often
// another look, just before sleeping, finds data: nearly always on a saturated
// machine, where time has passed since the loop looked, and almost never
// otherwise, where it is a wasted system call. The gate is open while looking
// pays, and there is none while the loop is on time; see rounds.
//
//	gate    by                             becomes
//	------  -----------------------------  -------------------------------------
//	open    looks that find nothing        shut, once under a tenth find any
//	shut    a reader, once in gateProbe    probed: that one looks
//	probed  looks that find something      open, once over a tenth find any
//	any     the loop that falls behind     open, for a few looks
//
// Waiting in the kernel, a hold, keeps a reader out of both queues, if its peer
// answers within the time, and it lets a peer on the same machine have a
// processor to answer with. Its answer counts as the look's. It also keeps the
// processor from others, and makes looks succeed that would not have: holds have
// a budget.
//
// All methods may be called by any goroutine. Updates may get lost in a race,
// which only makes an average less sharp.
type gate struct {
	success atomic.Int32 // moving average of looks that found data, of gateAlways
	probed  atomic.Int64 // when the last probe was
	budget  budget

	looks, found, holds, answered atomic.Uint64
}

const (
	gateAlways = 1 << 16
	gateOpen   = gateAlways / 10
	gateStart  = gateAlways / 4
	gateWeight = 16 // a look is worth a sixteenth of the average

	// gateProbe is the least time between two looks while the gate is shut.
	gateProbe = time.Millisecond

	// holdTime is how long a hold lasts at most: what a peer on the same
	// machine needs to answer.
	holdTime = 20 * time.Microsecond

	// holdRate is how many holds a second a loop may spend.
	holdRate = 1200
)

// begin opens the gate for a few looks.
func (g *gate) begin() { g.success.Store(gateStart) }

// mayLook reports whether a reader is to look once more.
func (g *gate) mayLook(now time.Duration) bool {
	if g.success.Load() > gateOpen {
		return true
	}
	last := g.probed.Load()
	return int64(now)-last > int64(gateProbe) && g.probed.CompareAndSwap(last, int64(now))
}

// looked tells what a look, and the hold after it, found.
func (g *gate) looked(found bool) {
	g.looks.Add(1)
	average := g.success.Load()
	if found {
		g.found.Add(1)
		average += (gateAlways - average) / gateWeight
	} else {
		average -= average / gateWeight
	}
	g.success.Store(average)
}

// mayHold reports whether a reader whose look found nothing is to wait in the
// kernel.
func (g *gate) mayHold(now time.Duration) bool {
	if !g.budget.take(now) {
		return false
	}
	g.holds.Add(1)
	return true
}

// budget is a token bucket. Its zero value is full.
type budget struct {
	spent  atomic.Int64 // tokens taken and not yet earned back
	filled atomic.Int64 // until when tokens have been earned
}

const (
	budgetPrice = int64(time.Second) / holdRate // how long it takes to earn one
	budgetDepth = holdRate / 50                 // how many the bucket holds
)

// take takes one token, if there is one.
func (b *budget) take(now time.Duration) bool {
	filled := b.filled.Load()
	if earned := (int64(now) - filled) / budgetPrice; earned > 0 && b.filled.CompareAndSwap(filled, filled+earned*budgetPrice) {
		b.spent.Store(max(b.spent.Load()-earned, 0))
	}
	if b.spent.Load() >= budgetDepth {
		return false
	}
	b.spent.Add(1)
	return true
}
