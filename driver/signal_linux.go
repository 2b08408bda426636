package driver

import "github.com/eddyio/eddy/poll"

// RegisterSignalReceiver puts the reading end of the pipe that signals are
// announced on in the registry, under TokenSignal. What becomes of it is read
// with Driver.ConsumeSignalReady. The descriptor stays the caller's. Register one
// receiver per driver: those of several cannot be told apart. Errors are those of
// poll.Registry.Register, and ErrShutdown.
func (h *Handle) RegisterSignalReceiver(fd int) error {
	return asShutdown(h.registry.Register(poll.SourceFd(fd), TokenSignal, poll.Readable))
}

// DeregisterSignalReceiver takes a signal receiver out of the registry. Errors are
// those of poll.Registry.Deregister, and ErrShutdown.
func (h *Handle) DeregisterSignalReceiver(fd int) error {
	return asShutdown(h.registry.Deregister(poll.SourceFd(fd)))
}
