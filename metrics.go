package eddy

import (
	"sync/atomic"

	"github.com/eddyio/eddy/driver"
)

// Metrics counts what a driver has done. All counts only grow, but for those
// that say they are gauges.
type Metrics struct {
	Driver driver.Metrics // what went through the ring and the registry

	Direct    uint64 // file operations done by a plain system call of the caller
	Ring      uint64 // file operations that went to the ring for speed
	Owned     uint64 // file operations that could be abandoned, done on the ring
	Offloaded uint64 // the same, done on a goroutine
	Abandoned uint64 // those whose caller left before they ended
	Trials    uint64 // times the path not in use was tried, for some milliseconds
	Flips     uint64 // times the processor was found to be saturated, or no longer so
	Saturated bool   // gauge: it is taken to be now, and the ring avoided
	Files     int64  // gauge: files open
	Leases    int64  // gauge: buffers of the driver's that an operation has

	Loops    int    // gauge: registries that sockets are spread over, 0 before the first socket
	Solos    int64  // gauge: sockets whose reader, being nearly alone, waits for replies by itself
	Sockets  int64  // gauge: sockets open
	Looks    uint64 // times a reader with nothing to read looked once more before it slept
	Found    uint64 // those that found something
	Holds    uint64 // times a reader waited for a moment in the kernel before it slept
	Answered uint64 // those that ended with something to read

	RingDisabled bool // gauge: DisableRing was called, on a driver that might have had a ring
}

type counters struct {
	owned, offloaded, abandoned atomic.Uint64
	files, leases               atomic.Int64
	missingLoops                atomic.Int64
}

// Metrics reads the counters.
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
