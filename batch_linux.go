package eddy

import (
	"io"
	"sync"
	"time"

	"github.com/eddyio/eddy/driver"
)

// submission is the requests of a batch, each with the piece it is for.
type submission struct {
	requests []*request
	ops      []*driver.Op
	pieces   []*piece
	lent     int // bytes of the driver's memory
}

var submissions = sync.Pool{New: func() any { return new(submission) }}

const (
	// holdBatch is the largest batch that is put on a ring of the caller's own.
	holdBatch = 64

	// batchLoan is about how much memory of the driver's a batch has at once.
	batchLoan = 8 << 20

	// batchPatience is how long the caller waits for it in the kernel before
	// it parks.
	batchPatience = 20 * time.Millisecond
)

// batch puts all pieces on the ring at once, or as many as the driver lends memory
// to at a time. A small batch gets a ring of its own, and its caller waits for the
// whole of it in one system call.
func (e *ringEngine) batch(b *batch, s *stops) {
	if !e.usable(b.kind) || s == nil && b.isCopy() && !e.forced {
		b.spread(s)
		return
	}
	sub := submissions.Get().(*submission)
	for _, p := range b.pieces {
		if !p.unfinished() {
			continue
		}
		if sub.lent >= batchLoan {
			e.perform(b, sub, s)
		}
		if p.Err = b.over(s); p.Err == nil {
			sub.add(b.rest(p), p, s != nil)
		}
	}
	e.perform(b, sub, s)
	submissions.Put(sub)
}

// perform does what has been added to the submission, and empties it.
func (e *ringEngine) perform(b *batch, sub *submission, s *stops) {
	if len(sub.ops) == 0 {
		return
	}
	e.submit(sub, s != nil)
	for i, r := range sub.requests {
		if r != nil {
			e.await(b, sub.pieces[i], r, s)
		}
	}
	for _, p := range sub.pieces {
		b.finish(p, s) // one that was cut short is not at its end
	}
	sub.clear()
}

// add prepares a transfer, on memory of the driver's if the caller may leave.
func (sub *submission) add(t transfer, p *piece, owned bool) {
	var r *request
	if owned {
		t.p = t.p[:min(len(t.p), maxOwned)]
		r = owning(t)
		sub.lent += len(r.own.whole)
	} else {
		t.p = t.p[:min(len(t.p), maxTransfer)]
		r = borrowing(t)
	}
	sub.requests = append(sub.requests, r)
	sub.ops = append(sub.ops, &r.Op)
	sub.pieces = append(sub.pieces, p)
}

// submit registers all requests, together or, where that cannot be, one by one.
// A request that could not be registered is replaced by nil; its piece has the
// error, or is left unfinished if a plain call has to do it.
func (e *ringEngine) submit(sub *submission, owned bool) {
	patience := batchPatience
	if owned {
		patience = holdPatience
	} else {
		e.rings.Add(uint64(len(sub.ops)))
	}
	if len(sub.ops) <= holdBatch {
		if _, err := e.handle.HoldOp(patience, sub.ops...); err == nil {
			return
		}
	}
	for i, o := range sub.ops {
		switch err := e.register(o); err {
		case nil:
		case errNotOnRing:
			sub.requests[i] = nil
		default:
			sub.requests[i], sub.pieces[i].Err = nil, err
		}
	}
}

// await waits for a request of a batch and notes what became of its piece.
func (e *ringEngine) await(b *batch, p *piece, r *request, s *stops) {
	if s == nil {
		r.Wait()
	} else if err := e.wait(&r.Op, s); err != nil {
		b.file.d.metrics.abandoned.Add(1)
		p.Err = err
		return
	}
	switch n, err := e.collect(b.rest(p), r); {
	case err == errNotOnRing: // still unfinished, and done by itself
	case n == 0 && err == nil && b.kind == kindRead:
		p.Err = io.EOF
	default:
		p.N, p.Err = p.N+n, err
	}
}

// clear empties the submission for its next use.
func (sub *submission) clear() {
	clear(sub.requests)
	clear(sub.ops)
	clear(sub.pieces)
	*sub = submission{sub.requests[:0], sub.ops[:0], sub.pieces[:0], 0}
}
