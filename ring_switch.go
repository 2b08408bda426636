package eddy

// ringSwitch is an engine whose ring can be switched off.
type ringSwitch interface {
	disableRing()
	ringDisabled() bool
}

// DisableRing switches io_uring off for this driver while it runs, for good:
// for a process that learns of a flaw in its kernel, or is about to enter a
// sandbox, and would rather not restart. Any goroutine may call it, at any
// time; calls after the first change nothing.
//
// An operation that begins after DisableRing has returned does not use the
// ring. It takes the path that BackendEpoll takes: a plain system call or, if
// it may have to be left before it ends, a goroutine of its own. One that was
// under way goes on where it is and ends as it would have; what it has left to
// do after its next system call, it does without the ring. Metrics.Driver.InFlight
// says how many requests the kernel still has; the ring itself, idle when that
// is 0, is kept until Shutdown.
//
// Status then says BackendEpoll, with a Fallback that gives the reason as
// "switched-off", and Metrics.RingDisabled is true. That goes for a driver
// that was made with BackendURing as well: to switch off is the later wish.
// A driver that has no ring stays as it is.
func (d *Driver) DisableRing() {
	if e, ok := d.engine.(ringSwitch); ok {
		e.disableRing()
	}
}

// ringDisabled tells whether DisableRing was called on a driver that might have
// had a ring.
func (d *Driver) ringDisabled() bool {
	e, ok := d.engine.(ringSwitch)
	return ok && e.ringDisabled()
}
