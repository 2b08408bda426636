package uring

import (
	"sync/atomic"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
)

// CallsInFlight is how many calls hold the descriptor open.
func (r *Ring) CallsInFlight() int { return int(r.life.word.Load() &^ lifetimeClosed) }

// ForgetFeatures makes the ring look like one of an older kernel.
func (r *Ring) ForgetFeatures(f Features) { r.features &^= f }

// ThreadSleeps tells that the SetupSQPoll thread wants to be woken.
func (r *Ring) ThreadSleeps() bool { return atomic.LoadUint32(r.sq.flags)&sqNeedWakeup != 0 }

// RegisteredSlot is the ring's index among the registered ones, or -1.
func (r *Ring) RegisteredSlot() int { return int(r.registered.slot.Load()) }

// NewSeparateMaps makes a ring as on a kernel without FeatSingleMmap.
func NewSeparateMaps(entries uint32) (*Ring, error) {
	p := new(params)
	fd, errno := sys.SetupRing(entries, unsafe.Pointer(p))
	if errno != 0 {
		return nil, errno
	}
	r := &Ring{fd: fd, features: Features(p.features) &^ FeatSingleMmap, wait: new(waitArgument)}
	r.registered.slot.Store(noSlot)
	if err := r.mapMemory(p); err != nil {
		return nil, err
	}
	r.attach(p)
	return r, nil
}

// HoldResources stops whatever wants to change the list of what is registered,
// until goOn is called.
func (r *Ring) HoldResources() (goOn func()) {
	r.keep.mu.Lock()
	return r.keep.mu.Unlock
}

// TakeGroup notes b under another group.
func (r *Ring) TakeGroup(b *BufferRing, group uint16) {
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	delete(r.keep.bufferRings, b.group)
	r.keep.bufferRings[group] = b
}

// Keeps tells whether Close will free b.
func (r *Ring) Keeps(b *BufferRing) bool {
	r.keep.mu.Lock()
	defer r.keep.mu.Unlock()
	for _, kept := range r.keep.bufferRings {
		if kept == b {
			return true
		}
	}
	return false
}
