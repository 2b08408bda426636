package eddy

// ringSwitch is an engine whose ring can be switched off.
type ringSwitch interface {
	disableRing()
	ringDisabled() bool
}

// DisableRing switches io_uring off for this driver, while it runs and for
// good. It is for a process that learns of a flaw in its kernel, or is about to
// enter a sandbox, and would rather not restart. It may be called concurrently;
// calls after the first have no effect.
//
// An operation that begins after DisableRing has returned does not use the
// ring. It takes the path that BackendEpoll takes: a plain system call or, if
// the operation may have to be abandoned, a goroutine of its own. An operation
// that is already in progress ends as it would have; if it needs more system
// calls, it makes them without the ring. Metrics.Driver.InFlight says how many
// requests the kernel still has. The ring itself is idle when that is 0, and is
// kept until Shutdown.
//
// [Driver.Status] then reports BackendEpoll with a Fallback whose reason is
// "switched-off", and Metrics.RingDisabled is true. That also holds for a
// driver made with BackendURing. On a driver that has no ring DisableRing does
// nothing.
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
