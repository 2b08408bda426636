package eddy

import (
	"io"
	"sync"
	"time"

	"github.com/eddyio/eddy/driver"
)

// batch is the requests of one ReadBatch, with the reads they are for.
type batch struct {
	requests []*request
	ops      []*driver.Op
	reads    []*BatchRead
}

var batches = sync.Pool{New: func() any { return new(batch) }}

const (
	// holdBatch is the largest batch that is put on a ring of the caller's own.
	holdBatch = 64

	// batchPatience is how long the caller waits for it in the kernel before
	// it parks.
	batchPatience = 20 * time.Millisecond
)

// batch puts all reads on the ring at once. A small batch gets a ring of its
// own, and its caller waits for the whole of it in one system call.
func (e *ringEngine) batch(f *File, reads []BatchRead, s *stops) {
	if !e.usable(kindRead) {
		spread(f, reads, s)
		return
	}
	b := batches.Get().(*batch)
	for i := range reads {
		if r := &reads[i]; r.unfinished() {
			b.add(f, r, s != nil)
		}
	}
	e.launchBatch(b, s != nil)
	for i, q := range b.requests {
		e.await(f, q, b.reads[i], s)
	}
	for _, r := range b.reads {
		if r.unfinished() { // a short read is no end
			n, err := f.move(r.rest(f), s)
			r.N, r.Err = r.N+n, err
		}
	}
	b.free()
}

// add prepares a read, on memory of the driver's if the caller may leave.
func (b *batch) add(f *File, r *BatchRead, owned bool) {
	t := r.rest(f)
	t.p = t.p[:min(len(t.p), maxTransfer)]
	var own *buffer
	if owned {
		t.p = t.p[:min(len(t.p), maxOwned)]
		own = lease(t)
		t.p = own.bytes
		f.d.metrics.owned.Add(1)
	}
	q := newRequest(t)
	if own != nil {
		q.own, q.Hold = own, own
	}
	q.OwnBytes(t.p)
	b.requests = append(b.requests, q)
	b.ops = append(b.ops, &q.Op)
	b.reads = append(b.reads, r)
}

// rest is the read that is still to be done.
func (r *BatchRead) rest(f *File) transfer {
	return transfer{f, kindRead, r.Buf[r.N:], r.Off + int64(r.N)}
}

// launchBatch registers all requests, together or, where that cannot be, one
// by one. A request that could not be registered is replaced by nil; its read
// has the error, or is left unfinished if a plain call has to do it.
func (e *ringEngine) launchBatch(b *batch, owned bool) {
	patience := batchPatience
	if owned {
		patience = holdPatience
	} else {
		e.rings.Add(uint64(len(b.ops)))
	}
	if len(b.ops) <= holdBatch {
		if _, err := e.handle.HoldOp(patience, b.ops...); err == nil {
			return
		}
	}
	for i, o := range b.ops {
		switch err := e.register(o); err {
		case nil:
		case errNotOnRing:
			b.requests[i] = nil
		default:
			b.requests[i], b.reads[i].Err = nil, err
		}
	}
}

// await waits for a request of a batch and notes what became of its read.
func (e *ringEngine) await(f *File, q *request, r *BatchRead, s *stops) {
	if q == nil {
		return
	}
	if s == nil {
		q.Wait()
	} else if err := e.wait(&q.Op, s); err != nil {
		f.d.metrics.abandoned.Add(1)
		r.Err = err
		return
	}
	switch n, err := e.collect(r.rest(f), q); {
	case err == errNotOnRing: // still unfinished, and read by itself
	case n == 0 && err == nil:
		r.Err = io.EOF
	default:
		r.N, r.Err = r.N+n, err
	}
}

// free empties the batch for its next use.
func (b *batch) free() {
	clear(b.requests)
	clear(b.ops)
	clear(b.reads)
	b.requests, b.ops, b.reads = b.requests[:0], b.ops[:0], b.reads[:0]
	batches.Put(b)
}
