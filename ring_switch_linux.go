package eddy

// disableRing makes the driver say so first, so that whoever finds the ring off
// finds the reason too.
func (e *ringEngine) disableRing() {
	e.handle.DisableRing()
	e.off.Store(true)
}

func (e *ringEngine) ringDisabled() bool { return e.off.Load() }
