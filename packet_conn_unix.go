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

// ReadFromUnix is ReadFrom that returns a *net.UnixAddr, nil if the sender has no
// name.
func (c *PacketConn) ReadFromUnix(p []byte) (int, *net.UnixAddr, error) {
	if err := c.forNetwork(true, "read"); err != nil {
		return 0, nil, err
	}
	n, from, err := c.t.readUnix(context.Background(), p)
	c.keep()
	return n, from, err
}

// WriteToUnix is WriteTo for a *net.UnixAddr.
func (c *PacketConn) WriteToUnix(p []byte, to *net.UnixAddr) (int, error) {
	if err := c.forNetwork(true, "write"); err != nil {
		return 0, err
	}
	n, err := c.t.writeUnix(context.Background(), p, to)
	c.keep()
	return n, err
}

// ReadMsgUnix is Conn.ReadMsgUnix.
func (c *PacketConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if err := c.forNetwork(true, "read"); err != nil {
		return 0, 0, 0, nil, err
	}
	n, oobn, flags, from, err = c.t.readMsgUnix(p, oob)
	c.keep()
	return n, oobn, flags, from, err
}

// WriteMsgUnix is Conn.WriteMsgUnix.
func (c *PacketConn) WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error) {
	if err := c.forNetwork(true, "write"); err != nil {
		return 0, 0, err
	}
	n, oobn, err = c.t.writeMsgUnix(p, oob, to)
	c.keep()
	return n, oobn, err
}

// ReadMsgUnix reads from a Unix socket into p, and control data that comes along
// into oob: file descriptors (syscall.ParseUnixRights), which are closed on exec
// and are the caller's to close, or credentials, recvmsg(2), unix(7). flags says
// what was cut: syscall.MSG_TRUNC, syscall.MSG_CTRUNC. At the end of the stream
// the error is, as std's, an *net.OpError with io.EOF inside. Like std, it reads
// one byte at least from a stream if oob is not empty. On other networks it fails
// with errors.ErrUnsupported.
func (c *Conn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	n, oobn, flags, from, err = c.t.readMsgUnix(p, oob)
	runtime.KeepAlive(c)
	return n, oobn, flags, from, err
}

// WriteMsgUnix writes p to a Unix socket, and the control data in oob with it:
// file descriptors (syscall.UnixRights) or credentials, sendmsg(2), unix(7). It
// returns how much of p and of oob was taken; on a stream that may be less than
// all of p. to is nil on connections; std takes none of unixgram
// (net.ErrWriteToConnected). Like std, it writes one byte at least to a stream if
// oob is not empty. On other networks it fails with errors.ErrUnsupported.
func (c *Conn) WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	n, oobn, err = c.t.writeMsgUnix(p, oob, to)
	runtime.KeepAlive(c)
	return n, oobn, err
}
