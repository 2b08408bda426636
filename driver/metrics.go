package driver

import "sync/atomic"

// Metrics counts what a driver has done since it was made. All counts only
// grow, but for those that say they are gauges.
type Metrics struct {
	Turns         uint64 // calls of Turn, Park and ParkTimeout
	Events        uint64 // readiness events dispatched to registrations
	StaleEvents   uint64 // readiness events for a registration that was gone
	Unparks       uint64 // calls of Unpark
	Registrations int64  // gauge: descriptors registered now

	Submitted   uint64 // requests the kernel accepted, resubmissions included
	Completed   uint64 // terminal completions delivered to a waiting owner
	Cancelled   uint64 // terminal completions whose owner had left
	Resubmitted uint64 // requests the kernel cancelled though nobody asked
	Rejected    uint64 // requests that io_uring_enter(2) itself refused
	StaleCQEs   uint64 // completions for a request that has ended before
	Overflows   uint64 // times the completion queue overflowed and was flushed
	Lost        uint64 // times the requests in flight got ErrLost
	Disposed    uint64 // descriptors closed because nobody claimed them
	Enters      uint64 // io_uring_enter(2) calls
	Wakeups     uint64 // times the submitting thread had to be woken
	Busy        uint64 // EAGAIN and EBUSY answers, each followed by a retry
	Holds       uint64 // requests whose caller waited in the kernel itself
	InFlight    int64  // gauge: requests the kernel owns now
	Strays      int64  // gauge: hold rings that wait for a late completion
	Quarantined int64  // gauge: requests given up by a shutdown, kept for ever
}

// counters is Metrics while it is being counted.
type counters struct {
	turns, events, staleEvents, unparks            atomic.Uint64
	submitted, completed, cancelled, resubmitted   atomic.Uint64
	rejected, staleCQEs, overflows, lost, disposed atomic.Uint64
	enters, wakeups, busy, holds                   atomic.Uint64
	registrations, inFlight, strays, quarantined   atomic.Int64
}

func (c *counters) read() Metrics {
	return Metrics{
		Turns:         c.turns.Load(),
		Events:        c.events.Load(),
		StaleEvents:   c.staleEvents.Load(),
		Unparks:       c.unparks.Load(),
		Registrations: c.registrations.Load(),
		Submitted:     c.submitted.Load(),
		Completed:     c.completed.Load(),
		Cancelled:     c.cancelled.Load(),
		Resubmitted:   c.resubmitted.Load(),
		Rejected:      c.rejected.Load(),
		StaleCQEs:     c.staleCQEs.Load(),
		Overflows:     c.overflows.Load(),
		Lost:          c.lost.Load(),
		Disposed:      c.disposed.Load(),
		Enters:        c.enters.Load(),
		Wakeups:       c.wakeups.Load(),
		Busy:          c.busy.Load(),
		Holds:         c.holds.Load(),
		InFlight:      c.inFlight.Load(),
		Strays:        c.strays.Load(),
		Quarantined:   c.quarantined.Load(),
	}
}
