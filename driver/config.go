package driver

import "fmt"

// Config says how a driver is set up. The zero value is a good one.
type Config struct {
	// Submit is the way requests are handed to the kernel.
	Submit SubmitMode

	// RingEntries is the size of the submission queue, 1 to MaxRingEntries;
	// the kernel rounds up to a power of two. 0 means DefaultRingSize. The
	// completion queue is twice as large. Neither limits the number of
	// requests in flight.
	RingEntries uint32

	// Depth is the most Paced requests that the kernel has at once. More than
	// a device can work on only makes the kernel start threads to wait in.
	// 0 or less means 256, which is the usual depth of a block device's own queue.
	Depth int

	// Workers is the most kernel threads of the ring that may wait for files at
	// once, for requests that cannot be started without blocking: opening,
	// fsync, reads of file systems without asynchronous reads. It takes that
	// many requests that hang for good to hold up the others. 0 means 64. Above
	// 1<<31-1, and before Linux 5.15, the kernel's own limit stays in force.
	Workers uint32

	// Holds is the most hold rings at once; see Handle.HoldOp. Each costs a
	// descriptor and some pages. 0 means 16, below 0 none.
	Holds int

	// NoRing leaves io_uring alone: CheckAndInit always says no.
	NoRing bool

	// Events is how many readiness events a turn takes at most, up to 1<<20:
	// the memory for them is there from the start. 0 or less means 128.
	Events int

	// Between, if it is not nil, is called by a turn between any two goroutines
	// that it wakes from ScheduledIO.Wait, with how many it has woken and how many
	// are left. It may let those that it has woken run, but must not use the
	// Driver. Whoever is left runs only when the turn goes on, whatever else might
	// end its wait meanwhile.
	Between func(woken, left int)
}

// MaxRingEntries is the largest submission queue the kernel makes
// (IORING_MAX_ENTRIES, include/linux/io_uring_types.h).
const MaxRingEntries = 32768

// maxEvents is the most events of a turn.
const maxEvents = 1 << 20

func (c Config) withDefaults() (Config, error) {
	if c.RingEntries > MaxRingEntries {
		return c, fmt.Errorf("eddy: RingEntries %d is above the kernel's limit of %d", c.RingEntries, MaxRingEntries)
	}
	if c.Events > maxEvents {
		return c, fmt.Errorf("eddy: Events %d is above the limit of %d", c.Events, maxEvents)
	}
	if c.Submit > SubmitThread {
		return c, fmt.Errorf("eddy: there is no %v", c.Submit)
	}
	if c.RingEntries == 0 {
		c.RingEntries = DefaultRingSize
	}
	if c.Depth <= 0 {
		c.Depth = 256
	}
	if c.Workers == 0 {
		c.Workers = 64
	}
	if c.Holds == 0 {
		c.Holds = 16
	}
	if c.Events <= 0 {
		c.Events = 128
	}
	return c, nil
}

// DefaultRingSize is the number of submission entries of a ring whose Config
// does not say.
const DefaultRingSize = 256
