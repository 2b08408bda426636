package eddy

import (
	"context"
	"net"

	"github.com/eddyio/eddy/poll"
)

// system is what a backend has besides its engine.
type system interface {
	// status fills in Submit and Fallbacks, and Backend if it is another than the
	// driver has taken.
	status(s *Status)
	metrics(m *Metrics)
	register(fd int, interest poll.Interest) (source, error)
	// adoptConn, adoptListener and adoptPacketConn take over, and close, what std
	// has made. If they fail, it is still the caller's. Errors will name the
	// network.
	adoptConn(n net.Conn, network string) (transport, error)
	adoptListener(n net.Listener, network string, keepAlive net.KeepAliveConfig) (acceptor, error)
	adoptPacketConn(n net.PacketConn) (datagrams, error)
	// announce makes the loop call the receivers' deliver, soon.
	announce()
	shutdown(ctx context.Context) error
}

// source is a registered descriptor.
type source interface {
	Ready(ctx context.Context, interest poll.Interest) (ReadyEvent, error)
	TryIO(interest poll.Interest, f func() error) error
	ClearReady(e ReadyEvent)
	Deregister() error
}
