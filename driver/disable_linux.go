package driver

import "github.com/eddyio/eddy/probe"

// DisableRing says that io_uring is not to be used any more, for good. A driver
// that has no ring makes none from here on, and Fallbacks says why. A ring that
// is there is kept until Shutdown, with what is in flight on it, which ends as
// it would have, or can be cancelled. CheckAndInit says no from here on, and
// RegisterOp and HoldOp answer ErrNoRing; one of them that has begun before may
// still register its request. Calls after the first, and those on a driver that
// cannot have a ring, change nothing.
func (h *Handle) DisableRing() {
	h.initMu.Lock()
	defer h.initMu.Unlock()
	if h.State() == StateUnsupported || h.off.Load() {
		return
	}
	h.off.Store(true)
	h.record(Fallback{
		Wanted:   "io_uring",
		Reason:   probe.ReasonForced,
		Evidence: []string{"switched off by DisableRing, while the driver was running"},
	})
	if h.State() == StateUninitialized {
		h.state.Store(uint32(StateUnsupported))
	}
}
