package driver

import (
	"github.com/eddyio/eddy/internal/slab"
	"github.com/eddyio/eddy/uring"
)

// entry remembers an SQE that the kernel has not consumed.
type entry struct {
	sqe *uring.SQE
	key slab.Key // 0 if it is not a request
}

// fifo is a queue of entries that reuses its memory.
type fifo struct {
	entries []entry
	head    int
}

func (f *fifo) push(e entry) { f.entries = append(f.entries, e) }

func (f *fifo) drop(n uint32) {
	f.head += min(int(n), len(f.entries)-f.head)
	if f.head == len(f.entries) {
		f.entries, f.head = f.entries[:0], 0
	}
}

// oldest is the first entry that has not been made a no-op, or nil.
func (f *fifo) oldest() *entry {
	for i := f.head; i < len(f.entries); i++ {
		if e := &f.entries[i]; e.sqe.UserData != tagVoid {
			return e
		}
	}
	return nil
}

// backlog is a queue of requests that wait for their turn, linked through
// Op.next.
type backlog struct{ first, last *Op }

func (b *backlog) push(o *Op) {
	if b.last == nil {
		b.first = o
	} else {
		b.last.next = o
	}
	b.last = o
}

func (b *backlog) pop() *Op {
	o := b.first
	if o == nil {
		return nil
	}
	if b.first = o.next; b.first == nil {
		b.last = nil
	}
	o.next = nil
	return o
}
