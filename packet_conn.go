package eddy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A PacketConn is a datagram socket of the network udp, udp4, udp6 or unixgram.
// It has the methods of *net.UDPConn and *net.UnixConn, with the same errors,
// and can send and receive many datagrams with one system call. Methods for the
// other kind of network fail with errors.ErrUnsupported.
//
// All methods may be called concurrently, Close included. Reads take turns with
// other reads, and writes with other writes; each turn is one datagram or one
// batch.
//
// Memory: a method uses the buffers it is given until it returns and never
// after.
type PacketConn struct {
	t     datagrams
	owner *Conn // of the socket, if this is a view of it
}

// packets is what every transport has for messages.
type packets interface {
	// asDatagrams is the same socket as one of datagrams, if it is one.
	asDatagrams() (datagrams, error)
	readMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error)
	writeMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error)
}

// datagrams is a socket of datagrams as a backend has it. Its errors are final.
type datagrams interface {
	transport

	// net is the network as errors have it: udp4, not udp.
	net() string
	// isUnix says which of the methods below are not to be called.
	isUnix() bool
	readUnix(ctx context.Context, p []byte) (int, *net.UnixAddr, error)
	writeUnix(ctx context.Context, p []byte, to *net.UnixAddr) (int, error)

	readAddrPort(ctx context.Context, p []byte) (int, netip.AddrPort, error)
	writeAddrPort(ctx context.Context, p []byte, to netip.AddrPort) (int, error)
	writeUDP(ctx context.Context, p []byte, to *net.UDPAddr) (int, error)
	readMsg(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error)
	writeMsg(p, oob []byte, to netip.AddrPort) (n, oobn int, err error)
	writeMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error)

	// readBatch and writeBatch get at least one message.
	readBatch(ctx context.Context, m []Message) (int, error)
	writeBatch(ctx context.Context, m []Message) (int, error)
	setSegmentSize(bytes int) error
	setReceiveOffload(on bool) error
	offloads() (segment, receive bool)
}

var (
	_ net.PacketConn = (*PacketConn)(nil)
	_ net.Conn       = (*PacketConn)(nil)
	_ syscall.Conn   = (*PacketConn)(nil)
)

// errMissingAddress says what std's does, which nobody can compare with either.
var errMissingAddress = errors.New("missing address")

// newPacketConn wraps a socket. One that is dropped without Close is closed by
// the garbage collector, as std's are.
func newPacketConn(t datagrams) *PacketConn {
	c := &PacketConn{t: t}
	runtime.AddCleanup(c, func(t datagrams) { _ = t.Close() }, t)
	return c
}

// PacketConn returns the same socket as a [PacketConn], for batches and control
// data, if the connection is of the network udp or unixgram; otherwise the
// error is errors.ErrUnsupported. Both may be used; closing either closes both.
func (c *Conn) PacketConn() (*PacketConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	t, err := c.t.asDatagrams()
	if err != nil {
		return nil, err
	}
	return &PacketConn{t: t, owner: c}, nil
}

func (c *PacketConn) ok() bool { return c != nil && c.t != nil }

// keep keeps the socket from being closed by the garbage collector before.
func (c *PacketConn) keep() {
	runtime.KeepAlive(c)
	runtime.KeepAlive(c.owner)
}

// forNetwork fails if the socket is not of the kind that a method is for.
func (c *PacketConn) forNetwork(unix bool, op string) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.t.isUnix() != unix {
		return c.fail(op, errors.ErrUnsupported)
	}
	return nil
}

func (c *PacketConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: c.t.net(), Source: c.t.LocalAddr(), Addr: c.t.RemoteAddr(), Err: err}
}

// Read reads one datagram, whoever sent it. What does not fit into p is lost.
func (c *PacketConn) Read(p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.Read(p)
	c.keep()
	return n, err
}

// Write sends one datagram to the address that the socket is connected to.
func (c *PacketConn) Write(p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.Write(p)
	c.keep()
	return n, err
}

// ReadContext is [PacketConn.Read], except that it also returns when ctx ends,
// with ctx.Err() in a *net.OpError.
func (c *PacketConn) ReadContext(ctx context.Context, p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.readContext(ctx, p)
	c.keep()
	return n, err
}

// WriteContext is [PacketConn.Write], except that it also returns when ctx
// ends, with ctx.Err() in a *net.OpError.
func (c *PacketConn) WriteContext(ctx context.Context, p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeContext(ctx, p)
	c.keep()
	return n, err
}

// ReadFrom reads one datagram and returns its sender: a *net.UDPAddr or
// *net.UnixAddr, or nil for a Unix socket without a name. What does not fit
// into p is lost.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	return c.ReadFromContext(context.Background(), p)
}

// ReadFromContext is [PacketConn.ReadFrom], except that it also returns when
// ctx ends, with ctx.Err() in a *net.OpError.
func (c *PacketConn) ReadFromContext(ctx context.Context, p []byte) (int, net.Addr, error) {
	if !c.ok() {
		return 0, nil, syscall.EINVAL
	}
	defer c.keep()
	if !c.t.isUnix() {
		n, from, err := c.t.readAddrPort(ctx, p)
		if err != nil {
			return n, nil, err
		}
		return n, net.UDPAddrFromAddrPort(from), nil
	}
	n, from, err := c.t.readUnix(ctx, p)
	if from == nil {
		return n, nil, err
	}
	return n, from, err
}

// WriteTo sends one datagram to a *net.UDPAddr or *net.UnixAddr. On a connected
// socket it fails with net.ErrWriteToConnected.
func (c *PacketConn) WriteTo(p []byte, to net.Addr) (int, error) {
	return c.WriteToContext(context.Background(), p, to)
}

// WriteToContext is [PacketConn.WriteTo], except that it also returns when ctx
// ends, with ctx.Err() in a *net.OpError.
func (c *PacketConn) WriteToContext(ctx context.Context, p []byte, to net.Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	defer c.keep()
	switch to := to.(type) {
	case *net.UDPAddr:
		if !c.t.isUnix() {
			return c.t.writeUDP(ctx, p, to)
		}
	case *net.UnixAddr:
		if c.t.isUnix() {
			return c.t.writeUnix(ctx, p, to)
		}
	}
	err := c.fail("write", syscall.EINVAL).(*net.OpError)
	err.Addr = to
	return 0, err
}

// Close closes the socket. Calls in progress return net.ErrClosed, and so does
// a second Close. The name of a Unix socket is not removed, as in package net.
func (c *PacketConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer c.keep()
	return c.t.Close()
}

// LocalAddr returns the address of the socket, a *net.UDPAddr or *net.UnixAddr.
func (c *PacketConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	defer c.keep()
	return c.t.LocalAddr()
}

// RemoteAddr returns the address that the socket is connected to, or nil.
func (c *PacketConn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	defer c.keep()
	return c.t.RemoteAddr()
}

// SetDeadline sets the read deadline and the write deadline.
func (c *PacketConn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer c.keep()
	return c.t.SetDeadline(t)
}

// SetReadDeadline makes reads, including those in progress, fail with
// os.ErrDeadlineExceeded at time t. The zero time means no deadline.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer c.keep()
	return c.t.SetReadDeadline(t)
}

// SetWriteDeadline is [PacketConn.SetReadDeadline] for writes.
func (c *PacketConn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer c.keep()
	return c.t.SetWriteDeadline(t)
}

// SetReadBuffer sets SO_RCVBUF, in bytes. The kernel doubles the value, see
// socket(7).
func (c *PacketConn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer c.keep()
	return c.t.setReadBuffer(bytes)
}

// SetWriteBuffer sets SO_SNDBUF, in bytes. The kernel doubles the value, see
// socket(7).
func (c *PacketConn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer c.keep()
	return c.t.setWriteBuffer(bytes)
}

// SyscallConn gives access to the descriptor, as it does for sockets of package
// net: for socket options, multicast groups, and system calls that eddy does
// not wrap.
func (c *PacketConn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	defer c.keep()
	raw, err := c.t.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawConn{raw, c}, nil
}

// File returns a duplicate of the descriptor, in non-blocking mode. Closing the
// file does not close the socket, nor the other way round.
func (c *PacketConn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	f, err := c.t.file()
	c.keep()
	return f, err
}
