package eddy

import "sync/atomic"

// references counts who uses a descriptor, so that it is closed once, by the
// last of them.
//
//	63    62                                              0
//	+----+------------------------------------------------+
//	| c  |  operations under way, one per acquire          |
//	+----+------------------------------------------------+
//	  c: Close was called; nobody new gets in
type references struct{ word atomic.Int64 }

const referencesClosed = -1 << 63

// acquire takes a reference, or reports that the descriptor is closed.
func (r *references) acquire() bool {
	for {
		old := r.word.Load()
		if old < 0 {
			return false
		}
		if r.word.CompareAndSwap(old, old+1) {
			return true
		}
	}
}

// share takes a further reference, for somebody who holds one.
func (r *references) share() { r.word.Add(1) }

// release gives one back, and reports whether it was the last and the
// descriptor is to be closed now.
func (r *references) release() bool { return r.word.Add(-1) == referencesClosed }

// close lets nobody in any more. It reports whether the caller is to close the
// descriptor now, and whether it was the first to call.
func (r *references) close() (last, first bool) {
	for {
		old := r.word.Load()
		if old < 0 {
			return false, false
		}
		if r.word.CompareAndSwap(old, old|referencesClosed) {
			return old == 0, true
		}
	}
}
