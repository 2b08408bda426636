package eddy

import (
	"context"

	"github.com/eddyio/eddy/poll"
)

// portableSystem is std's poller, and of ours what shutdown has to end.
type portableSystem struct {
	d       *Driver
	sockets portableSockets
	watched watched
}

func (d *Driver) startPortable() {
	d.backend = BackendPortable
	d.engine = portableEngine{}
	d.system = &portableSystem{d: d}
}

func (p *portableSystem) status(*Status) {}

func (p *portableSystem) metrics(*Metrics) {}

func (p *portableSystem) register(fd int, interest poll.Interest) (source, error) {
	return newPortableSource(p, fd, interest)
}

func (p *portableSystem) announce() { p.d.signals.deliver() }

func (p *portableSystem) shutdown(context.Context) error {
	p.watched.shutdown()
	p.sockets.shutdown()
	return nil
}
