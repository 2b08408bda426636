package uring

import (
	"sync/atomic"
	"unsafe"
)

// Completions returns the number of completions that Reap would return. With
// SetupCQEMixed it is an upper limit, in units of 16 bytes. It may be called
// concurrently.
func (r *Ring) Completions() uint32 {
	if !r.acquire() {
		return 0
	}
	defer r.release()
	return atomic.LoadUint32(r.cq.kernelTail) - atomic.LoadUint32(r.cq.kernelHead)
}

// Reap copies completions from the queue, oldest first, gives their places back
// to the kernel, and returns how many there were, at most len(into). It makes
// no system call. It may be called by one goroutine at a time. See
// [Ring.Overflowed] and [Ring.NeedsTaskrun] for completions that are not in the
// queue yet.
func (r *Ring) Reap(into []CQE) int {
	if r.life.closed() {
		return 0
	}
	c := &r.cq
	if c.mixed || c.shift != 4 {
		return r.reapEach(len(into), func(i int, entry *CQE32, _ bool) { into[i] = entry.CQE })
	}
	head, ready := c.ready()
	n := min(ready, uint32(len(into)))
	if n == 0 {
		return 0
	}
	// SAFETY: the queue's mapping holds size entries and lives until destroy.
	queue := unsafe.Slice((*CQE)(c.entries), c.size)
	first := copy(into[:n], queue[head&c.mask:])
	copy(into[first:n], queue)
	c.release(head + n)
	return int(n)
}

// ReapBig is [Ring.Reap] for rings with SetupCQE32 or SetupCQEMixed. It also
// copies the second half of each completion, or zeroes if it has none.
func (r *Ring) ReapBig(into []CQE32) int {
	if r.life.closed() {
		return 0
	}
	return r.reapEach(len(into), func(i int, entry *CQE32, big bool) {
		if into[i].CQE = entry.CQE; big {
			into[i].Extra = entry.Extra
		} else {
			into[i].Extra = [2]uint64{}
		}
	})
}

// reapEach walks over up to n completions of any size. entry.Extra may only be
// read when big. In a mixed queue a big completion takes two places that are
// neighbours: a filler stands at the end if only one is left before the wrap.
func (r *Ring) reapEach(n int, take func(i int, entry *CQE32, big bool)) int {
	c := &r.cq
	head, ready := c.ready()
	end := head + ready
	taken := 0
	for head != end && taken < n {
		// SAFETY: the index is masked into the mapping, which lives until
		// destroy; only a big entry is read beyond its first 16 bytes.
		entry := (*CQE32)(unsafe.Add(c.entries, uintptr(head&c.mask)<<c.shift))
		head++
		if c.mixed && entry.Flags&CQEFSkip != 0 {
			continue
		}
		big := c.shift == 5 || c.mixed && entry.Flags&CQEF32 != 0
		if big && c.mixed {
			head++
		}
		take(taken, entry, big)
		taken++
	}
	c.release(head)
	return taken
}

// ready returns our head and the number of entries behind it.
func (c *completion) ready() (head, n uint32) {
	head = atomic.LoadUint32(c.kernelHead) // only we write it
	// Pairs with the kernel's smp_store_release of the tail: whoever sees the
	// new tail sees the entries below it.
	return head, atomic.LoadUint32(c.kernelTail) - head
}

// release gives the places before head back.
func (c *completion) release(head uint32) {
	// Pairs with the kernel's load of the head before it writes an entry: our
	// reads of the entries are done before the kernel may overwrite them.
	atomic.StoreUint32(c.kernelHead, head)
}
