package eddy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ListenPacket opens a datagram socket as net.ListenPacket does, with the same
// errors. The network is udp, udp4, udp6 or unixgram.
func (d *Driver) ListenPacket(ctx context.Context, network, address string) (*PacketConn, error) {
	return d.ListenPacketWith(ctx, ListenConfig{}, network, address)
}

// ListenPacketWith is [Driver.ListenPacket] with settings. With ReusePort, the
// kernel spreads the senders over the sockets.
func (d *Driver) ListenPacketWith(ctx context.Context, config ListenConfig, network, address string) (*PacketConn, error) {
	if d.down.Load() {
		return nil, &net.OpError{Op: "listen", Net: network, Err: ErrShutdown}
	}
	n, err := config.std().ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c, err := d.AdoptPacketConn(n)
	if err != nil {
		_ = n.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: n.LocalAddr(), Err: err}
	}
	return c, nil
}

// ListenPacket calls [Driver.ListenPacketWith] on the default driver. It takes the
// place of net.ListenConfig's method, which does not know ReusePort.
func (c ListenConfig) ListenPacket(ctx context.Context, network, address string) (*PacketConn, error) {
	return Default().ListenPacketWith(ctx, c, network, address)
}

// AdoptPacketConn turns a *net.UDPConn, or a *net.UnixConn of the network
// unixgram, into a PacketConn. From then on only the result may be used and
// closed, not n. The socket keeps its options, but deadlines have to be set
// again.
func (d *Driver) AdoptPacketConn(n net.PacketConn) (*PacketConn, error) {
	switch c := n.(type) {
	case nil:
		return nil, syscall.EINVAL
	case *PacketConn:
		if c.ok() {
			return c, nil
		}
		return nil, syscall.EINVAL
	}
	if d.down.Load() {
		return nil, ErrShutdown
	}
	if !isDatagrams(n) {
		return nil, fmt.Errorf("eddy: adopt %T, which is not a UDP or Unix datagram socket: %w", n, errors.ErrUnsupported)
	}
	t, err := d.system.adoptPacketConn(n)
	if err != nil {
		return nil, err
	}
	return newPacketConn(t), nil
}

// isDatagrams reports whether a connection of std's can be a PacketConn.
func isDatagrams(n any) bool {
	switch c := n.(type) {
	case *net.UDPConn:
		return c != nil
	case *net.UnixConn:
		if c == nil {
			return false
		}
		local, ok := c.LocalAddr().(*net.UnixAddr)
		return ok && local.Net == "unixgram"
	}
	return false
}

// origin asks a connection of std's what it has no methods for: what network its
// errors speak of, and whether std has connected it. Both are in what it says to
// a datagram without an address, which it does not send.
func origin(n net.PacketConn) (network string, connected bool) {
	var err error
	switch c := n.(type) {
	case *net.UDPConn:
		_, err = c.WriteToUDPAddrPort(nil, netip.AddrPort{})
	case *net.UnixConn:
		_, err = c.WriteToUnix(nil, nil)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Net, op.Err == net.ErrWriteToConnected
	}
	return n.LocalAddr().Network(), false
}

// ListenPacket calls [Driver.ListenPacket] on the default driver with a
// background context.
func ListenPacket(network, address string) (*PacketConn, error) {
	return Default().ListenPacket(context.Background(), network, address)
}

// AdoptPacketConn calls [Driver.AdoptPacketConn] on the default driver.
func AdoptPacketConn(n net.PacketConn) (*PacketConn, error) { return Default().AdoptPacketConn(n) }
