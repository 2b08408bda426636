package eddy

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// portablePacketConn is a socket of datagrams of std's: one of udp and unix is
// set.
type portablePacketConn struct {
	*portableConn
	udp       *net.UDPConn
	unix      *net.UnixConn
	network   string
	connected bool // std refuses an address
}

func (p *portableSystem) adoptPacketConn(n net.PacketConn) (datagrams, error) {
	if err := adoptable(n); err != nil {
		return nil, err
	}
	return p.newConn(n.(net.Conn), n.LocalAddr().Network()).asDatagrams()
}

// asDatagrams implements packets.
func (c *portableConn) asDatagrams() (datagrams, error) {
	if !isDatagrams(c.Conn) {
		return nil, &net.OpError{Op: "adopt", Net: c.LocalAddr().Network(), Addr: c.LocalAddr(), Err: errors.ErrUnsupported}
	}
	p := &portablePacketConn{portableConn: c}
	p.udp, _ = c.Conn.(*net.UDPConn)
	p.unix, _ = c.Conn.(*net.UnixConn)
	p.network, p.connected = origin(c.Conn.(net.PacketConn))
	return p, nil
}

func (c *portableConn) readMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	u, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return 0, 0, 0, nil, c.named("read", errors.ErrUnsupported)
	}
	c.read.enter()
	n, oobn, flags, from, err = u.ReadMsgUnix(p, oob)
	c.read.leave()
	if err != nil {
		return 0, 0, 0, nil, c.final(err) // std's counts are not to be relied upon then
	}
	return n, oobn, flags, from, nil
}

func (c *portableConn) writeMsgUnix(p, oob []byte, to *net.UnixAddr) (int, int, error) {
	if u, ok := c.Conn.(*net.UnixConn); ok {
		c.write.enter()
		n, oobn, err := u.WriteMsgUnix(p, oob, to)
		c.write.leave()
		return n, oobn, c.final(err)
	}
	err := c.named("write", errors.ErrUnsupported).(*net.OpError)
	err.Addr = unixOpAddr(to)
	return 0, 0, err
}

func (c *portablePacketConn) net() string { return c.network }

func (c *portablePacketConn) isUnix() bool { return c.unix != nil }

// reading calls f in its turn and makes it end with the context.
func (c *portablePacketConn) reading(ctx context.Context, f func() (int, error)) (n int, err error) {
	if ctx.Done() == nil {
		c.read.enter()
		n, err = f()
		c.read.leave()
		return n, c.final(err)
	}
	n, err = c.read.until(ctx, c.Conn.SetReadDeadline, f)
	err = c.final(err)
	return n, c.fail("read", c.RemoteAddr(), err)
}

// writing is reading for writes.
func (c *portablePacketConn) writing(ctx context.Context, f func() (int, error)) (n int, err error) {
	if ctx.Done() == nil {
		c.write.enter()
		n, err = f()
		c.write.leave()
		return n, c.final(err)
	}
	n, err = c.write.until(ctx, c.Conn.SetWriteDeadline, f)
	return n, c.final(err)
}

// fail wraps what std has not.
func (c *portablePacketConn) fail(op string, to net.Addr, err error) error {
	if _, ok := err.(*net.OpError); ok || err == nil {
		return err
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: to, Err: err}
}

func (c *portablePacketConn) readUnix(ctx context.Context, p []byte) (n int, from *net.UnixAddr, err error) {
	n, err = c.reading(ctx, func() (n int, err error) {
		n, from, err = c.unix.ReadFromUnix(p)
		return n, err
	})
	return n, from, err
}

func (c *portablePacketConn) writeUnix(ctx context.Context, p []byte, to *net.UnixAddr) (int, error) {
	n, err := c.writing(ctx, func() (int, error) { return c.unix.WriteToUnix(p, to) })
	return n, c.fail("write", unixOpAddr(to), err)
}

func (c *portablePacketConn) readAddrPort(ctx context.Context, p []byte) (n int, from netip.AddrPort, err error) {
	n, err = c.reading(ctx, func() (n int, err error) {
		n, from, err = c.udp.ReadFromUDPAddrPort(p)
		return n, err
	})
	return n, from, err
}

func (c *portablePacketConn) writeAddrPort(ctx context.Context, p []byte, to netip.AddrPort) (int, error) {
	n, err := c.writing(ctx, func() (int, error) { return c.udp.WriteToUDPAddrPort(p, to) })
	if err != nil {
		err = c.fail("write", udpAddrPort{to}, err)
	}
	return n, err
}

func (c *portablePacketConn) writeUDP(ctx context.Context, p []byte, to *net.UDPAddr) (int, error) {
	n, err := c.writing(ctx, func() (int, error) { return c.udp.WriteToUDP(p, to) })
	return n, c.fail("write", udpOpAddr(to), err)
}

func (c *portablePacketConn) readMsg(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	_, err = c.reading(context.Background(), func() (_ int, err error) {
		n, oobn, flags, from, err = c.udp.ReadMsgUDPAddrPort(p, oob)
		return n, err
	})
	if err != nil {
		return 0, 0, 0, netip.AddrPort{}, err // std's counts are not to be relied upon then
	}
	return n, oobn, flags, from, nil
}

func (c *portablePacketConn) writeMsg(p, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	n, err = c.writing(context.Background(), func() (n int, err error) {
		n, oobn, err = c.udp.WriteMsgUDPAddrPort(p, oob, to)
		return n, err
	})
	return n, oobn, err
}

func (c *portablePacketConn) writeMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	n, err = c.writing(context.Background(), func() (n int, err error) {
		n, oobn, err = c.udp.WriteMsgUDP(p, oob, to)
		return n, err
	})
	return n, oobn, err
}
