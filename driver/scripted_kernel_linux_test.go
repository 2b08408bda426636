//go:build linux && explore

package driver

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/uring"
)

// when completions that the kernel has made become visible in the queue.
type taskWork int

const (
	atOnce   taskWork = iota
	coop              // by themselves or when a call asks for events (SetupCoopTaskrun)
	deferred          // only when a call asks for events (SetupDeferTaskrun)
)

// scriptedKernel is a ring whose kernel does anything a kernel may do, as the
// explorer chooses: it completes in any order, at any time, more than once
// where that is allowed, or not before it is asked to cancel; it writes into
// buffers at any time before the terminal completion; calls fail, or take fewer
// entries than they are offered; the completion queue overflows. What it may do
// how often is limited by its budgets, which only shrink.
type scriptedKernel struct {
	r *run

	queue  []*uring.SQE // taken by the driver, not by the kernel
	size   int
	has    []*claim // requests it has taken and not ended
	ended  []*claim // for answers that come twice
	cq     []uring.CQE
	cqSize int
	flood  []uring.CQE // completions that have not fitted
	work   []uring.CQE // completions nobody has asked for
	when   taskWork
	ready  bool // what an edge-triggered epoll says of the descriptor
	shut   bool

	faults  []unix.Errno // each strikes one call of io_uring_enter(2) at most
	short   int          // calls that take one entry less
	unasked int          // requests that are cancelled though nobody asked
	twice   int          // terminal completions that are posted once more
	losing  bool         // EBADR loses a completion
	deaf    bool         // does not hear of requests to cancel
	blind   int          // requests to cancel that do not find what is there
	pauses  []uint64     // timeouts: what to answer when they are over
	cut     int          // multishot polls that end by themselves

	clocked bool // time passes: for models in which it is looked at
	started bool // calls fail from here on only
	polled  bool // the eventfd is
	written int  // and was, while it was not polled
	wake    uint64
}

// claim is what the kernel owns of a request.
type claim struct {
	sqe       uring.SQE
	job       *job
	written   bool // into the buffer
	more      int  // completions that were not the last
	cancelled bool
}

func (k *scriptedKernel) Fd() int { return 1 << 20 }

func (k *scriptedKernel) Next() *uring.SQE {
	if k.shut || len(k.queue) == k.size {
		return nil
	}
	sqe := new(uring.SQE)
	k.queue = append(k.queue, sqe)
	return sqe
}

func (k *scriptedKernel) Queued() uint32 { return observed(uint32(len(k.queue))) }

func (k *scriptedKernel) Submit() (uint32, error) {
	k.r.step("enters the kernel")
	if k.shut {
		return 0, uring.ErrClosed
	}
	if len(k.queue) == 0 {
		return 0, nil
	}
	return k.said(k.enter())
}

// said is what a call tells its caller.
func (k *scriptedKernel) said(n uint32, err error) (uint32, error) {
	k.r.observed(n)
	if errno, ok := err.(unix.Errno); ok {
		k.r.observed(uint32(errno))
	}
	return n, err
}

func (k *scriptedKernel) SubmitGetEvents() (uint32, error) {
	k.r.step("enters the kernel")
	if k.shut {
		return 0, uring.ErrClosed
	}
	n, err := k.enter()
	if err == nil {
		k.getEvents()
	}
	return k.said(n, err)
}

func (k *scriptedKernel) SubmitAndWait(minimum uint32, timeout time.Duration) (uint32, error) {
	k.r.step("enters the kernel")
	if k.shut {
		return 0, uring.ErrClosed
	}
	offered := len(k.queue)
	n, err := k.enter()
	if err != nil || int(n) < offered {
		return k.said(n, err)
	}
	k.r.observed(n)
	k.getEvents()
	there := func() bool { return len(k.cq)+len(k.work)+len(k.flood) >= int(minimum) }
	busy := ""
	if n > 0 {
		busy = ", having submitted"
	}
	if !there() {
		if timeout < 0 || timeout == stalledAfter { // too long to be a state of its own
			k.r.block("sleeps in the kernel"+busy, there)
		} else {
			k.r.pause("sleeps in the kernel, for a time" + busy)
			if !there() {
				if k.clocked {
					k.r.clock += timeout
				}
				err = unix.ETIME
			}
		}
	}
	k.getEvents()
	if n > 0 {
		err = nil
	}
	return k.said(n, err)
}

// enter is io_uring_enter(2), up to where it would look at completions.
func (k *scriptedKernel) enter() (uint32, error) {
	n := len(k.queue)
	if k.started {
		options := 1 + len(k.faults)
		if k.short > 0 && n > 0 {
			options++
		}
		switch c := k.r.choose(options); {
		case c == 0:
		case c <= len(k.faults):
			errno := k.faults[c-1]
			k.faults = append(append([]unix.Errno(nil), k.faults[:c-1]...), k.faults[c:]...)
			k.r.note("%s", unix.ErrnoName(errno))
			if errno == unix.EBADR && k.losing && len(k.has) > 0 {
				k.lose()
			}
			return 0, errno
		default:
			k.short--
			n--
			k.r.note("takes %d of %d", n, n+1)
		}
	}
	for _, sqe := range k.queue[:n] {
		k.take(*sqe)
		// Whoever writes to it from here on writes to a later entry.
		*sqe = uring.SQE{Opcode: 255}
	}
	k.queue = append([]*uring.SQE(nil), k.queue[n:]...)
	return uint32(n), nil
}

// lose ends the oldest request without an answer.
func (k *scriptedKernel) lose() {
	c := k.has[0]
	k.has = append([]*claim(nil), k.has[1:]...)
	c.job.lost = true
	k.r.note("loses %s", c.job)
}

// getEvents runs task work, and fills the queue from what had not fitted.
func (k *scriptedKernel) getEvents() {
	for _, c := range k.work {
		k.queueUp(c)
	}
	k.work = nil
	for len(k.flood) > 0 && len(k.cq) < k.cqSize {
		k.cq, k.flood = append(k.cq, k.flood[0]), k.flood[1:]
	}
}

func (k *scriptedKernel) queueUp(c uring.CQE) {
	if len(k.flood) > 0 || len(k.cq) >= k.cqSize {
		k.flood = append(k.flood, c)
	} else {
		k.cq = append(k.cq, c)
	}
}

func (k *scriptedKernel) post(c uring.CQE) {
	if k.when == atOnce {
		k.queueUp(c)
	} else {
		k.work = append(k.work, c)
	}
	k.ready = true
}

func (k *scriptedKernel) take(sqe uring.SQE) {
	switch sqe.UserData & tagMask {
	case tagVoid:
		if sqe.Opcode != uring.OpNop {
			k.r.failf("an entry that was made void still is a %v", sqe.Opcode)
		}
		k.post(uring.CQE{UserData: sqe.UserData})
	case tagWake:
		k.wake, k.polled = sqe.UserData, true
		if k.written > 0 {
			k.eventAdd()
		}
	case tagCancel:
		k.cancel(sqe)
	case tagPause:
		k.pauses = append(k.pauses, sqe.UserData)
	case tagOp:
		j := k.r.model.(*world).job(sqe)
		if j == nil || sqe.Opcode == 255 {
			k.r.failf("the kernel was handed an entry that is no request: %+v", sqe)
		}
		if j.settled() {
			k.r.failf("the kernel was handed %s after its owner was told the end of it", j)
		}
		k.has = append(k.has, &claim{sqe: sqe, job: j})
	}
}

// cancel hears of a request to cancel. What becomes of the target is decided
// later; the answer to this one says nothing about it.
func (k *scriptedKernel) cancel(sqe uring.SQE) {
	res := -int32(unix.ENOENT)
	for _, c := range k.has {
		if c.sqe.UserData != sqe.Addr || k.deaf {
			continue
		}
		if k.blind > 0 && k.r.choose(2) == 1 {
			k.blind--
			k.r.note("does not find %s", c.job)
			continue
		}
		c.cancelled = true
		res = 0
	}
	k.post(uring.CQE{UserData: sqe.UserData, Res: res})
}

func (k *scriptedKernel) eventAdd() {
	if !k.polled {
		k.written++
		return
	}
	flags := uring.CQEFMore
	if k.cut > 0 && k.r.choose(2) == 1 {
		k.cut--
		flags, k.polled = 0, false
		k.r.note("the poll ends")
	}
	k.written = 1 // the counter is never read
	k.post(uring.CQE{UserData: k.wake, Res: unix.POLLIN, Flags: flags})
}

func (k *scriptedKernel) Reap(into []uring.CQE) int {
	k.r.step("reaps")
	n := copy(into, k.cq)
	for _, c := range k.cq[:n] {
		k.r.observed(c.UserData + uint64(c.Res)<<32 + uint64(c.Flags))
	}
	k.cq = append([]uring.CQE(nil), k.cq[n:]...)
	return n
}

func (k *scriptedKernel) Completions() uint32 { return observed(uint32(len(k.cq))) }

func (k *scriptedKernel) Overflowed() bool { return observed(len(k.flood) > 0) }

func (k *scriptedKernel) NeedsTaskrun() bool { return observed(k.when == coop && len(k.work) > 0) }

func (k *scriptedKernel) Close() error {
	if len(k.has) > 0 {
		k.r.failf("the ring was closed while the kernel had %s", k.has[0].job)
	}
	k.shut = true
	return nil
}

// event is something the kernel does on its own.
type event struct {
	kind eventKind
	c    *claim
	res  int32
}

type eventKind int

const (
	eventWrite   eventKind = iota // writes into the buffer
	eventMore                     // a completion, not the last
	eventEnd                      // the terminal completion
	eventUnasked                  // cancels what nobody wanted cancelled
	eventTwice                    // a completion for what was completed before
	eventWork                     // runs task work
	eventPause                    // the oldest timeout is over
)

func (e event) String() string {
	switch e.kind {
	case eventWrite:
		return fmt.Sprintf("writes into the buffer of %s", e.c.job)
	case eventMore:
		return fmt.Sprintf("completes %s, more to come", e.c.job)
	case eventEnd:
		return fmt.Sprintf("completes %s: %d", e.c.job, e.res)
	case eventUnasked:
		return fmt.Sprintf("cancels %s unasked", e.c.job)
	case eventTwice:
		return fmt.Sprintf("completes %s once more", e.c.job)
	case eventPause:
		return "ends a timeout"
	}
	return "runs task work"
}

func (k *scriptedKernel) do(e event) {
	switch c := e.c; e.kind {
	case eventWrite:
		k.write(c)
	case eventMore:
		c.more++
		k.answer(c, c.job.result(c.more), uring.CQEFMore)
	case eventEnd:
		k.end(c, e.res)
	case eventUnasked:
		k.unasked--
		k.end(c, -int32(unix.ECANCELED))
	case eventTwice:
		k.twice--
		k.post(uring.CQE{UserData: c.sqe.UserData, Res: strange})
	case eventWork:
		k.getEvents()
	case eventPause:
		k.post(uring.CQE{UserData: k.pauses[0], Res: -int32(unix.ETIME)})
		k.pauses = k.pauses[1:]
	}
}

// events lists what the kernel could do now.
func (k *scriptedKernel) events() []event {
	var list []event
	for _, c := range k.has {
		j := c.job
		if j.early && !c.written {
			list = append(list, event{eventWrite, c, 0})
		}
		if c.more < j.mores {
			list = append(list, event{eventMore, c, 0})
		}
		if !j.hangs && c.more == j.mores {
			for _, res := range j.results {
				list = append(list, event{eventEnd, c, res})
			}
		}
		switch {
		case c.cancelled:
			list = append(list, event{eventEnd, c, -int32(unix.ECANCELED)})
		case k.unasked > 0:
			list = append(list, event{eventUnasked, c, 0})
		}
	}
	if k.twice > 0 {
		for _, c := range k.ended {
			list = append(list, event{eventTwice, c, 0})
		}
	}
	if k.when == coop && len(k.work) > 0 {
		list = append(list, event{kind: eventWork})
	}
	if k.elapses() {
		list = append(list, event{kind: eventPause})
	}
	return list
}

// possible tells whether there are any, without listing them.
func (k *scriptedKernel) possible() bool {
	if k.when == coop && len(k.work) > 0 || k.twice > 0 && len(k.ended) > 0 || k.elapses() {
		return true
	}
	for _, c := range k.has {
		j := c.job
		if j.early && !c.written || c.more < j.mores || !j.hangs || c.cancelled || k.unasked > 0 {
			return true
		}
	}
	return false
}

// elapses says that a timeout can come to its end. To a kernel that does not hear
// of requests to cancel, no second one makes a difference.
func (k *scriptedKernel) elapses() bool { return len(k.pauses) > 0 && !k.deaf }

// strange is the result of answers that come twice.
const strange = 0x5555

// act is the kernel as an actor.
func (k *scriptedKernel) act() {
	for {
		k.r.rest("acts", k.possible)
		list := k.events()
		e := list[k.r.choose(len(list))]
		k.r.note("%v", e)
		k.do(e)
	}
}

// write is what a device does to the memory of a request.
func (k *scriptedKernel) write(c *claim) {
	c.written = true
	c.job.scribble(k.r)
}

// end is the terminal completion.
func (k *scriptedKernel) end(c *claim, res int32) {
	if res > 0 && !c.written && c.job.buffer != nil {
		k.write(c)
	}
	for i := range k.has {
		if k.has[i] == c {
			k.has = append(append([]*claim(nil), k.has[:i]...), k.has[i+1:]...)
			break
		}
	}
	if k.twice > 0 {
		k.ended = append(k.ended, c)
	}
	k.answer(c, res, 0)
}

func (k *scriptedKernel) answer(c *claim, res int32, flags uring.CQEFlags) {
	j := c.job
	if j.opens && res >= 0 {
		j.opened = append(j.opened, int(res))
	}
	j.answers = append(j.answers, res)
	j.late = k.r.model.(*world).ctx.expired
	k.post(uring.CQE{UserData: c.sqe.UserData, Res: res, Flags: flags})
}

func (k *scriptedKernel) Probe() (uring.Probe, error) { return uring.Probe{}, nil }

func (k *scriptedKernel) Features() uring.Features { return uring.FeatExtArg }

func (k *scriptedKernel) IOWQMaxWorkers(uint32, uint32) (was [2]uint32, err error) { return was, nil }

var _ kernel = (*scriptedKernel)(nil)
