package driver_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

// FuzzDispatch lets a kernel send whatever it likes: completions of requests it
// has, has had and never had, in any number and order, with any result and
// flags. A model says what must become of each request; nothing else may happen
// to any of them.
func FuzzDispatch(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, input []byte) {
		d := newDispatch(t, &tape{rest: input})
		for range 300 {
			if len(d.tape.rest) == 0 {
				break
			}
			d.step()
		}
		d.end()
	})
}

// tape is the fuzzer's input, read bit by bit; behind its end are zeros.
type tape struct{ rest []byte }

func (p *tape) byte() byte {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

func (p *tape) uint64() uint64 {
	var eight [8]byte
	for i := range eight {
		eight[i] = p.byte()
	}
	return binary.LittleEndian.Uint64(eight[:])
}

// expected is one request, with what the model knows of it.
type expected struct {
	op       *driver.Op
	hold     *hold
	userData uint64 // 0 while it has no slot
	asked    bool   // to be cancelled
	partial  bool
	res      int32
	flags    uring.CQEFlags
	state    driver.Lifecycle
	again    bool // to be submitted once more
	takes    int  // how often the kernel must have seen it
}

func (e *expected) unwanted() bool { return e.asked || e.state == driver.Cancelled }

// dispatch is a context on a scripted kernel, and the model of it.
type dispatch struct {
	t       *testing.T
	tape    *tape
	kernel  *fakeKernel
	context *driver.Bare
	depth   int
	all     []*expected          // in the order of their names
	live    map[uint64]*expected // those with a slot, by user_data
	former  []uint64             // user_data of slots that were freed
	backlog []*expected          // paced ones that wait
	cqes    []uring.CQE          // not sent yet
	closed  []int                // descriptors that the next dispatch must close
	want    driver.Metrics       // the counters that the model knows
}

func newDispatch(t *testing.T, p *tape) *dispatch {
	shape := p.byte()
	k := newFake(t, []int{64, 4}[shape&1])
	k.deaf = true // it completes what the tape says, and nothing else
	if shape&2 != 0 {
		k.cqSize = 3
	}
	d := &dispatch{t: t, tape: p, kernel: k, depth: 1 + int(shape>>2&3), live: map[uint64]*expected{}}
	d.context = driver.NewBare(k, d.depth)
	return d
}

func (d *dispatch) step() {
	switch what := d.tape.byte(); what % 8 {
	case 0:
		d.admit(what)
	case 1:
		d.giveUp()
	case 2:
		if e := d.pick(); e != nil && (e.state == driver.Submitted || e.state == driver.Cancelled) {
			d.context.Ask(e.op)
			e.asked = true
		}
	case 3:
		d.collect(d.pick())
	case 4:
		d.dispatch()
	default:
		d.cqes = append(d.cqes, d.cqe())
	}
}

// pick is one of the requests there have been, or nil.
func (d *dispatch) pick() *expected {
	if len(d.all) == 0 {
		return nil
	}
	return d.all[int(d.tape.byte())%len(d.all)]
}

func (d *dispatch) admit(kind byte) {
	if len(d.all) == 40 {
		return
	}
	e := &expected{op: nop(uint64(len(d.all))), hold: new(hold), state: driver.Submitted}
	e.op.Hold, e.op.Paced, e.op.YieldsFd = e.hold, kind&8 != 0, kind&16 != 0
	d.all = append(d.all, e)
	if err := d.context.Admit(e.op); err != nil {
		d.t.Fatalf("request %d: %v", len(d.all)-1, err)
	}
	if e.op.Paced && (d.paced() >= d.depth || len(d.backlog) > 0) {
		d.backlog = append(d.backlog, e)
		return
	}
	d.push(e)
}

// push gives the request a slot, in the model.
func (d *dispatch) push(e *expected) {
	e.takes++
	d.submit()
	e.userData = d.seen(e)
	if e.userData&driver.TagMask != driver.TagOp {
		d.t.Fatalf("%s has user_data %#x", e.op.Name, e.userData)
	}
	if other := d.live[e.userData]; other != nil || slices.Contains(d.former, e.userData) {
		d.t.Fatalf("%s has the user_data %#x of another request", e.op.Name, e.userData)
	}
	d.live[e.userData] = e
}

// submit hands everything to the kernel, in as many goes as its queue needs.
func (d *dispatch) submit() {
	for range 1 + len(d.live)/d.kernel.size + 1 {
		if err := d.context.Submit(); err != nil {
			d.t.Fatal(err)
		}
		if d.kernel.Queued() == 0 && d.kernel.size > len(d.live) {
			return
		}
		d.context.Dispatch() // resubmits what had no room
	}
}

// seen is the user_data under which the kernel got the request.
func (d *dispatch) seen(e *expected) uint64 {
	for i := len(d.kernel.has) - 1; i >= 0; i-- {
		if d.kernel.has[i].Off == e.op.Entry.Off {
			return d.kernel.has[i].UserData
		}
	}
	d.t.Fatalf("%s never reached the kernel", e.op.Name)
	return 0
}

func (d *dispatch) paced() int {
	n := 0
	for _, e := range d.live {
		if e.op.Paced {
			n++
		}
	}
	return n
}

func (d *dispatch) giveUp() {
	e := d.pick()
	if e == nil {
		return
	}
	if got, want := d.context.GiveUp(e.op), e.state == driver.Submitted; got != want {
		d.t.Fatalf("%s is %v and can be given up: %v", e.op.Name, e.state, got)
	} else if got {
		e.state = driver.Cancelled
	}
}

// collect takes the result of a request that has completed.
func (d *dispatch) collect(e *expected) {
	if e == nil || e.state != driver.Completed {
		return
	}
	res, flags := e.op.Result()
	if res != e.res || flags != e.flags {
		d.t.Fatalf("%s: result %d, flags %#x; want %d, %#x", e.op.Name, res, flags, e.res, e.flags)
	}
	if e.op.YieldsFd && res >= 0 {
		if err := unix.Close(int(res)); err != nil {
			d.t.Fatalf("the descriptor of %s: %v", e.op.Name, err)
		}
	}
	e.state = driver.Idle
}

// results are those that mean something, besides the counts.
var results = [...]int32{0, 1, 4096, 1<<31 - 1, -1 << 31, -int32(unix.ECANCELED), -int32(unix.EINTR), -512, -516,
	-int32(unix.EAGAIN), -int32(unix.ENOENT), -int32(unix.EALREADY), -int32(unix.EBADR), -4096}

// cqe reads a completion from the tape.
func (d *dispatch) cqe() uring.CQE {
	var c uring.CQE
	switch from := d.tape.byte(); {
	case from%4 < 2 && len(d.all) > 0: // of a request that is there, as a rule
		c.UserData = d.all[int(from>>2)%len(d.all)].userData
	case from%4 == 2 && len(d.former) > 0:
		c.UserData = d.former[int(from>>2)%len(d.former)]
	default:
		c.UserData = d.tape.uint64()
	}
	switch how := d.tape.byte(); {
	case how < 128:
		c.Res = results[int(how)%len(results)]
	default:
		c.Res = int32(d.tape.uint64())
	}
	switch flags := d.tape.byte(); {
	case flags < 64: // any of the lower ones
		c.Flags = uring.CQEFlags(flags)
	default:
		c.Flags = uring.CQEFlags(d.tape.uint64())
	}
	return c
}

// dispatch sends the completions and compares.
func (d *dispatch) dispatch() {
	for i := range d.cqes {
		d.complete(&d.cqes[i])
		d.kernel.inject(d.cqes[i])
	}
	d.cqes = d.cqes[:0]
	d.context.Dispatch()
	for _, e := range d.live {
		if e.again {
			e.again = false
			e.takes++
			d.want.Resubmitted++
		}
	}
	d.promote()
	d.submit()
	d.compare()
}

// complete is what the model makes of a completion.
func (d *dispatch) complete(c *uring.CQE) {
	if c.UserData&driver.TagMask != driver.TagOp {
		return
	}
	e := d.live[c.UserData]
	if e == nil {
		d.want.StaleCQEs++
		return
	}
	if e.again {
		// The kernel ends a submission once. What it says of one that has ended,
		// and is not submitted anew yet, is about nobody.
		d.want.StaleCQEs++
		return
	}
	if e.op.YieldsFd && c.Res >= 0 {
		c.Res = int32(d.descriptor())
		if e.partial { // an Op has one result
			d.want.Disposed++
			d.closed = append(d.closed, int(c.Res))
		}
	}
	if !e.partial {
		e.res, e.flags = c.Res, c.Flags
	}
	if c.More() {
		e.partial = true
		return
	}
	if !e.partial && cutShort(c.Res) {
		switch {
		case e.unwanted():
			e.res = -int32(unix.ECANCELED)
		case e.takes > 64:
			e.res = -int32(unix.EAGAIN)
		default:
			e.again = true
			return
		}
	}
	delete(d.live, e.userData)
	d.former = append(d.former, e.userData)
	d.finish(e)
}

// cutShort are the results that tell of the thread, not of the request.
func cutShort(res int32) bool {
	return slices.Contains([]int32{-int32(unix.ECANCELED), -int32(unix.EINTR), -512, -513, -514, -516}, res)
}

func (d *dispatch) descriptor() int {
	fd, err := unix.FcntlInt(uintptr(d.kernel.fd), unix.F_DUPFD_CLOEXEC, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	return fd
}

// finish is the end of a request, in the model.
func (d *dispatch) finish(e *expected) {
	if e.state != driver.Cancelled {
		e.state = driver.Completed
		d.want.Completed++
		return
	}
	e.state = driver.Idle
	d.want.Cancelled++
	if e.op.YieldsFd && e.res >= 0 {
		d.want.Disposed++
		d.closed = append(d.closed, int(e.res))
	}
}

// promote lets those in the backlog through that now may.
func (d *dispatch) promote() {
	for len(d.backlog) > 0 && d.paced() < d.depth {
		e := d.backlog[0]
		d.backlog = d.backlog[1:]
		if e.unwanted() {
			e.res = -int32(unix.ECANCELED)
			d.finish(e)
			continue
		}
		d.push(e)
	}
}

func (d *dispatch) compare() {
	d.t.Helper()
	got := d.context.Metrics()
	counts := func(m driver.Metrics) string {
		return fmt.Sprint("completed ", m.Completed, ", cancelled ", m.Cancelled, ", resubmitted ", m.Resubmitted,
			", stale ", m.StaleCQEs, ", disposed ", m.Disposed, ", in flight ", m.InFlight, ", rejected ", m.Rejected)
	}
	d.want.InFlight = int64(len(d.live))
	if counts(got) != counts(d.want) {
		d.t.Fatalf("the counters are %s; want %s", counts(got), counts(d.want))
	}
	if n := d.context.Len(); n != len(d.live) {
		d.t.Fatalf("%d slots are taken, want %d", n, len(d.live))
	}
	takes := make([]int, len(d.all))
	for _, name := range d.kernel.order {
		takes[name]++
	}
	for i, e := range d.all {
		released := int32(0)
		if e.state == driver.Idle {
			released = 1
		}
		if s := e.op.State(); s != e.state || e.hold.released.Load() != released || takes[i] != e.takes {
			d.t.Fatalf("%s is %v, released %d times, submitted %d times; want %v, %d, %d",
				e.op.Name, s, e.hold.released.Load(), takes[i], e.state, released, e.takes)
		}
	}
	for _, fd := range d.closed {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF { //nolint:errorlint // bare
			d.t.Fatalf("descriptor %d, which nobody claims, is open: %v", fd, err)
		}
	}
	d.closed = d.closed[:0]
}

// end completes everything; nothing may be left.
func (d *dispatch) end() {
	d.dispatch()
	for range len(d.all) + 1 {
		for userData := range d.live {
			d.cqes = append(d.cqes, uring.CQE{UserData: userData})
		}
		d.dispatch()
	}
	for _, e := range d.all {
		d.collect(e)
	}
	d.compare()
	if len(d.live)+len(d.backlog) > 0 {
		d.t.Fatalf("left: %d with a slot, %d in the backlog", len(d.live), len(d.backlog))
	}
}
