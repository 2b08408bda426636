package eddy

import (
	"sync/atomic"

	"github.com/eddyio/eddy/driver"
)

// Metrics are counters of what a driver has done since it was made. They only
// grow, except those marked as gauges, which say how things are now.
type Metrics struct {
	Driver driver.Metrics // of the ring and of the registry of the first event loop

	// File operations for which a ring is worth a thought: not those at the file's own
	// offset, those that the page cache answers, nor, unless BackendURing was asked
	// for, writes to it. What takes several steps counts with each.
	Direct    uint64 // done by a plain system call of the caller, though there is or might be a ring
	Ring      uint64 // done on the ring, with the caller's memory
	Owned     uint64 // such that may be abandoned, done on the ring or on one of the caller's own
	Offloaded uint64 // such that may be abandoned, also at the file's own offset, done on a goroutine of its own

	Abandoned uint64 // file operations whose caller left before they ended
	Trials    uint64 // times the path not in use was tried for some milliseconds
	Flips     uint64 // times the processors were found to be saturated, or no longer so
	Saturated bool   // gauge: the processors are taken to be saturated, and files avoid the ring
	Files     int64  // gauge: open files
	Leases    int64  // gauge: the driver's buffers that are in use by operations

	Loops    int    // gauge: event loops for sockets; 0 before the first socket
	Solos    int64  // gauge: sockets whose reader waits for replies without the event loop, being almost alone
	Apart    int64  // gauge: sockets whose reader waits in Go's own poller, as there is too little to do for an event loop
	Sockets  int64  // gauge: open sockets
	Looks    uint64 // times a reader with nothing to read looked once more before it parked
	Found    uint64 // looks that found something
	Holds    uint64 // times a reader waited in the kernel for some microseconds before it parked
	Answered uint64 // holds that ended with something to read

	RingDisabled bool // gauge: DisableRing was called, and the driver has or might have had a ring
}

type counters struct {
	owned, offloaded, abandoned atomic.Uint64
	files, leases               atomic.Int64
}

// Metrics returns the current values of the driver's counters. They are read
// one after another, not at one instant.
func (d *Driver) Metrics() Metrics {
	m := Metrics{
		Owned:     d.metrics.owned.Load(),
		Offloaded: d.metrics.offloaded.Load(),
		Abandoned: d.metrics.abandoned.Load(),
		Files:     d.metrics.files.Load(),
		Leases:    d.metrics.leases.Load(),
	}
	d.system.metrics(&m)
	if m.RingDisabled = d.ringDisabled(); m.RingDisabled {
		m.Saturated = false // nobody asks any more
	}
	return m
}
