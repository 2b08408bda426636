package eddy

import (
	"context"
	"net"
	"runtime"
	"syscall"
)

// unixOpAddr is the address for an error; a nil pointer is no address.
func unixOpAddr(a *net.UnixAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// ReadFromUnix is [PacketConn.ReadFrom] with a *net.UnixAddr, which is nil if
// the sender has no name.
func (c *PacketConn) ReadFromUnix(p []byte) (int, *net.UnixAddr, error) {
	if err := c.forNetwork(true, "read"); err != nil {
		return 0, nil, err
	}
	n, from, err := c.t.readUnix(context.Background(), p)
	c.keep()
	return n, from, err
}

// WriteToUnix is [PacketConn.WriteTo] with a *net.UnixAddr.
func (c *PacketConn) WriteToUnix(p []byte, to *net.UnixAddr) (int, error) {
	if err := c.forNetwork(true, "write"); err != nil {
		return 0, err
	}
	n, err := c.t.writeUnix(context.Background(), p, to)
	c.keep()
	return n, err
}

// ReadMsgUnix is [Conn.ReadMsgUnix] for a datagram socket.
func (c *PacketConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if err := c.forNetwork(true, "read"); err != nil {
		return 0, 0, 0, nil, err
	}
	n, oobn, flags, from, err = c.t.readMsgUnix(p, oob)
	c.keep()
	return n, oobn, flags, from, err
}

// WriteMsgUnix is [Conn.WriteMsgUnix] for a datagram socket.
func (c *PacketConn) WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error) {
	if err := c.forNetwork(true, "write"); err != nil {
		return 0, 0, err
	}
	n, oobn, err = c.t.writeMsgUnix(p, oob, to)
	c.keep()
	return n, oobn, err
}

// ReadMsgUnix reads from a Unix socket into p, and the control data that comes
// along into oob: file descriptors (syscall.ParseUnixRights) or credentials;
// see recvmsg(2) and unix(7). Received descriptors are close-on-exec and belong
// to the caller. flags says what was cut off: syscall.MSG_TRUNC,
// syscall.MSG_CTRUNC. At the end of the stream the error is a *net.OpError
// around io.EOF, as in package net; and, as there, at least one byte is read
// from a stream if oob is not empty. On other networks the error is
// errors.ErrUnsupported.
func (c *Conn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	n, oobn, flags, from, err = c.t.readMsgUnix(p, oob)
	runtime.KeepAlive(c)
	return n, oobn, flags, from, err
}

// WriteMsgUnix writes p to a Unix socket, together with the control data in
// oob: file descriptors (syscall.UnixRights) or credentials; see sendmsg(2) and
// unix(7). It returns how much of p and of oob was taken; on a stream that may
// be less than all of p. to must be nil on a connection. As in package net, the
// error is net.ErrWriteToConnected, whatever to is, on a unixgram socket that
// was dialed; its control data goes through PacketConn.WriteBatch. As in package
// net, at least one byte is written to a stream if oob is not empty. On other
// networks the error is errors.ErrUnsupported.
func (c *Conn) WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	n, oobn, err = c.t.writeMsgUnix(p, oob, to)
	runtime.KeepAlive(c)
	return n, oobn, err
}
