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

// opAddr is the address for an error; a nil pointer is no address.
func opAddr(a *net.UDPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// ReadFromUDP is ReadFrom that returns a *net.UDPAddr.
func (c *PacketConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromUDPAddrPort is ReadFrom that returns a netip.AddrPort and allocates
// nothing. As with std, on sockets of IPv6 an IPv4 address is IPv4-mapped:
// netip.Addr.Unmap undoes that.
func (c *PacketConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPortContext(context.Background(), p)
}

// ReadFromUDPAddrPortContext is ReadFromUDPAddrPort that also ends when ctx does,
// with its error.
func (c *PacketConn) ReadFromUDPAddrPortContext(ctx context.Context, p []byte) (int, netip.AddrPort, error) {
	if err := c.forNetwork(false, "read"); err != nil {
		return 0, netip.AddrPort{}, err
	}
	n, from, err := c.t.readAddrPort(ctx, p)
	c.keep()
	return n, from, err
}

// WriteToUDP is WriteTo for a *net.UDPAddr.
func (c *PacketConn) WriteToUDP(p []byte, to *net.UDPAddr) (int, error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, err
	}
	n, err := c.t.writeUDP(context.Background(), p, to)
	c.keep()
	return n, err
}

// WriteToUDPAddrPort is WriteTo for a netip.AddrPort. It allocates nothing.
func (c *PacketConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPortContext(context.Background(), p, to)
}

// WriteToUDPAddrPortContext is WriteToUDPAddrPort that also ends when ctx does,
// with its error.
func (c *PacketConn) WriteToUDPAddrPortContext(ctx context.Context, p []byte, to netip.AddrPort) (int, error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, err
	}
	n, err := c.t.writeAddrPort(ctx, p, to)
	c.keep()
	return n, err
}

// ReadMsgUDP reads one datagram into p and the control data that comes with it
// into oob, recvmsg(2). flags says what was cut: syscall.MSG_TRUNC,
// syscall.MSG_CTRUNC.
func (c *PacketConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, oobn, flags, sender, err := c.ReadMsgUDPAddrPort(p, oob)
	if sender.IsValid() {
		from = net.UDPAddrFromAddrPort(sender)
	}
	return n, oobn, flags, from, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP that returns a netip.AddrPort. It allocates
// nothing.
func (c *PacketConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	if err := c.forNetwork(false, "read"); err != nil {
		return 0, 0, 0, netip.AddrPort{}, err
	}
	n, oobn, flags, from, err = c.t.readMsg(p, oob)
	c.keep()
	return n, oobn, flags, from, err
}

// WriteMsgUDP sends p as one datagram, with the control data in oob, sendmsg(2):
// to an address or, if the socket is connected, to nil. It returns how much of p
// and of oob was taken, which is all or nothing.
func (c *PacketConn) WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, 0, err
	}
	n, oobn, err = c.t.writeMsgUDP(p, oob, to)
	c.keep()
	return n, oobn, err
}

// WriteMsgUDPAddrPort is WriteMsgUDP for a netip.AddrPort, of which the zero one
// stands for nil. It allocates nothing.
func (c *PacketConn) WriteMsgUDPAddrPort(p, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	if err := c.forNetwork(false, "write"); err != nil {
		return 0, 0, err
	}
	n, oobn, err = c.t.writeMsg(p, oob, to)
	c.keep()
	return n, oobn, err
}
