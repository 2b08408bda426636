package eddy

import (
	"context"

	"github.com/eddyio/eddy/poll"
	"github.com/eddyio/eddy/probe"
)

// portableSystem is std's poller, and of ours what shutdown has to end.
type portableSystem struct {
	d       *Driver
	sockets *portableSockets
}

func (d *Driver) startPortable() {
	d.backend = BackendPortable
	d.engine = portable{}
	d.system = portableSystem{d, new(portableSockets)}
}

func (portableSystem) status(d *Driver) Status {
	return Status{Backend: d.backend, Kernel: probe.Get().Kernel}
}

func (portableSystem) metrics(*Metrics) {}

func (p portableSystem) register(fd int, interest poll.Interest) (source, error) {
	return newPortableSource(p.d, fd, interest)
}

func (p portableSystem) announce() { p.d.signals.deliver() }

func (p portableSystem) shutdown(context.Context) error {
	p.d.watched.shutdown()
	p.sockets.shutdown()
	return nil
}
