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
}

type counters struct {
	owned, offloaded, abandoned atomic.Uint64
	files, leases               atomic.Int64
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
	return m
}
