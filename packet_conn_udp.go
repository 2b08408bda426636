package eddy

import (
	"context"
	"net"
	"net/netip"
)

// udpAddrPort is a netip.AddrPort as the address in an error.
type udpAddrPort struct{ netip.AddrPort }

// Network implements net.Addr.
func (udpAddrPort) Network() string { return "udp" }

// udpOpAddr is the address for an error; a nil pointer is no address.
func udpOpAddr(a *net.UDPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// ReadFromUDP is [PacketConn.ReadFrom] with a *net.UDPAddr.
func (c *PacketConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is [PacketConn.ReadFrom] with a netip.AddrPort. It does
// not allocate. As in package net, an IPv4 address on an IPv6 socket is
// IPv4-mapped; netip.Addr.Unmap undoes that.
func (c *PacketConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPortContext(context.Background(), p)
}

// ReadFromUDPAddrPortContext is [PacketConn.ReadFromUDPAddrPort], except that
// it also returns when ctx ends, with ctx.Err() in a *net.OpError.
func (c *PacketConn) ReadFromUDPAddrPortContext(ctx context.Context, p []byte) (int, netip.AddrPort, error) {
	if err := c.forNetwork(false, "read"); err != nil {
		return 0, netip.AddrPort{}, err
	}
	n, from, err := c.t.readAddrPort(ctx, p)
	c.keep()
	return n, from, err
}

// WriteToUDP is [PacketConn.WriteTo] with a *net.UDPAddr.
func (c *PacketConn) WriteToUDP(p []byte, to *net.UDPAddr) (int, error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, err
	}
	n, err := c.t.writeUDP(context.Background(), p, to)
	c.keep()
	return n, err
}

// WriteToUDPAddrPort is [PacketConn.WriteTo] with a netip.AddrPort. It does not
// allocate.
func (c *PacketConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPortContext(context.Background(), p, to)
}

// WriteToUDPAddrPortContext is [PacketConn.WriteToUDPAddrPort], except that it
// also returns when ctx ends, with ctx.Err() in a *net.OpError.
func (c *PacketConn) WriteToUDPAddrPortContext(ctx context.Context, p []byte, to netip.AddrPort) (int, error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, err
	}
	n, err := c.t.writeAddrPort(ctx, p, to)
	c.keep()
	return n, err
}

// ReadMsgUDP reads one datagram into p, and the control data that comes with it
// into oob, see recvmsg(2). flags says what was cut off: syscall.MSG_TRUNC,
// syscall.MSG_CTRUNC.
func (c *PacketConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, oobn, flags, sender, err := c.ReadMsgUDPAddrPort(p, oob)
	if sender.IsValid() {
		from = net.UDPAddrFromAddrPort(sender)
	}
	return n, oobn, flags, from, err
}

// ReadMsgUDPAddrPort is [PacketConn.ReadMsgUDP] with a netip.AddrPort. It does
// not allocate.
func (c *PacketConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	if err := c.forNetwork(false, "read"); err != nil {
		return 0, 0, 0, netip.AddrPort{}, err
	}
	n, oobn, flags, from, err = c.t.readMsg(p, oob)
	c.keep()
	return n, oobn, flags, from, err
}

// WriteMsgUDP sends p as one datagram, with the control data in oob, see
// sendmsg(2). to is the destination, or nil if the socket is connected. It
// returns how much of p and of oob was taken, which is all or nothing.
func (c *PacketConn) WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, 0, err
	}
	n, oobn, err = c.t.writeMsgUDP(p, oob, to)
	c.keep()
	return n, oobn, err
}

// WriteMsgUDPAddrPort is [PacketConn.WriteMsgUDP] with a netip.AddrPort; its
// zero value stands for nil. It does not allocate.
func (c *PacketConn) WriteMsgUDPAddrPort(p, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, 0, err
	}
	n, oobn, err = c.t.writeMsg(p, oob, to)
	c.keep()
	return n, oobn, err
}
