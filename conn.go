package eddy

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A Conn is a connection over TCP, or a Unix socket of the network unix or
// unixpacket, or a connected socket of udp or unixgram. It has the methods of
// *net.TCPConn, *net.UnixConn and *net.UDPConn, with the same errors: a
// *net.OpError around net.ErrClosed, os.ErrDeadlineExceeded or an errno, and a
// bare io.EOF.
//
// All methods may be called concurrently, Close included. Reads take turns with
// other reads, and writes with other writes.
//
// Memory: a method that takes a []byte uses it until it returns and never
// after. Read and Write do not allocate.
type Conn struct {
	t transport
}

// transport is a socket as a backend has it. Its errors are final.
type transport interface {
	net.Conn
	syscall.Conn
	packets

	readContext(ctx context.Context, p []byte) (int, error)
	writeContext(ctx context.Context, p []byte) (int, error)
	writeBuffers(v *net.Buffers) (int64, error)
	readFrom(r io.Reader) (int64, error)
	writeTo(w io.Writer) (int64, error)

	closeRead() error
	closeWrite() error
	file() (*os.File, error)
	multipathTCP() (bool, error)

	setLinger(seconds int) error
	setNoDelay(on bool) error
	setKeepAlive(on bool) error
	setKeepAlivePeriod(d time.Duration) error
	setKeepAliveConfig(c net.KeepAliveConfig) error
	setReadBuffer(bytes int) error
	setWriteBuffer(bytes int) error
}

// These are what a Go program expects of a connection.
var (
	_ net.Conn        = (*Conn)(nil)
	_ io.ReaderFrom   = (*Conn)(nil)
	_ io.WriterTo     = (*Conn)(nil)
	_ syscall.Conn    = (*Conn)(nil)
	_ io.StringWriter = (*Conn)(nil)
)

// newConn wraps a transport. One that is dropped without Close is closed by the
// garbage collector, as std's are.
func newConn(t transport) *Conn {
	c := &Conn{t}
	runtime.AddCleanup(c, func(t transport) { _ = t.Close() }, t)
	return c
}

func (c *Conn) ok() bool { return c != nil && c.t != nil }

// Read waits until something has arrived and reads up to len(p) bytes of it. At
// the end of the stream it returns io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.Read(p)
	runtime.KeepAlive(c)
	return n, err
}

// Write writes all of p, waiting for buffer space as long as it takes. If it
// returns an error, the count says how many bytes were taken before it.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.Write(p)
	runtime.KeepAlive(c)
	return n, err
}

// WriteString writes the bytes of s, like Write.
func (c *Conn) WriteString(s string) (int, error) { return c.Write([]byte(s)) }

// ReadContext is [Conn.Read], except that it also returns when ctx ends, with
// ctx.Err() in a *net.OpError. No data is lost: what has not been read can be
// read later.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.readContext(ctx, p)
	runtime.KeepAlive(c)
	return n, err
}

// WriteContext is [Conn.Write], except that it also returns when ctx ends, with
// ctx.Err() in a *net.OpError and the number of bytes written by then.
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeContext(ctx, p)
	runtime.KeepAlive(c)
	return n, err
}

// WriteBuffers writes the buffers with writev(2) and removes from v what was
// written, as net.Buffers.WriteTo does on connections of package net. On other
// connections, such as this one, net.Buffers.WriteTo makes one Write per
// buffer, and so does io.Copy from a *net.Buffers; [Conn.ReadFrom] does not.
func (c *Conn) WriteBuffers(v *net.Buffers) (int64, error) {
	if !c.ok() || v == nil {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeBuffers(v)
	runtime.KeepAlive(c)
	return n, err
}

// ReadFrom writes everything that r yields until io.EOF, for io.Copy. It uses
// sendfile(2) if r is a file (*os.File or *File) and splice(2) if r is another
// Conn or a TCP or Unix connection of package net, either also inside an
// *io.LimitedReader, and writev(2) if r is a *net.Buffers. The portable backend
// copies from connections through memory.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.readFrom(r)
	runtime.KeepAlive(c)
	runtime.KeepAlive(r)
	return n, err
}

// WriteTo reads until the end of the stream and writes everything to w, for
// io.Copy. It uses splice(2) if w is another Conn, a TCP or Unix connection of
// package net, or a regular file (*os.File or *File) that was not opened with
// O_APPEND or O_DIRECT and has no write deadline; the portable backend does not.
// When w fails, up to 1 MiB that has been read is lost.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeTo(w)
	runtime.KeepAlive(c)
	runtime.KeepAlive(w)
	return n, err
}

// Close closes the connection. Calls in progress return with net.ErrClosed.
// Close returns when the last of them has returned and the descriptor is
// closed, so its number cannot be reused under a call. A second Close returns
// net.ErrClosed.
func (c *Conn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.Close()
}

// CloseRead shuts down the reading half of the connection, see shutdown(2).
func (c *Conn) CloseRead() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.closeRead()
}

// CloseWrite shuts down the writing half of the connection, see shutdown(2).
// The peer then reads io.EOF.
func (c *Conn) CloseWrite() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.closeWrite()
}

// LocalAddr returns the address of this end: a *net.TCPAddr, *net.UnixAddr or
// *net.UDPAddr.
func (c *Conn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	defer runtime.KeepAlive(c)
	return c.t.LocalAddr()
}

// RemoteAddr returns the address of the other end.
func (c *Conn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	defer runtime.KeepAlive(c)
	return c.t.RemoteAddr()
}

// SetDeadline sets the read deadline and the write deadline.
func (c *Conn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.SetDeadline(t)
}

// SetReadDeadline makes reads, including those in progress, fail with
// os.ErrDeadlineExceeded at time t. The zero time means no deadline. After a
// deadline has passed, setting a later one makes the connection usable again.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.SetReadDeadline(t)
}

// SetWriteDeadline is [Conn.SetReadDeadline] for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.SetWriteDeadline(t)
}

// SetNoDelay sets TCP_NODELAY, tcp(7). It is on by default.
func (c *Conn) SetNoDelay(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setNoDelay(on)
}

// SetKeepAlive sets SO_KEEPALIVE, socket(7).
func (c *Conn) SetKeepAlive(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setKeepAlive(on)
}

// SetKeepAlivePeriod sets how long the connection may be idle before the first
// keep-alive probe: TCP_KEEPIDLE, tcp(7), rounded up to seconds. 0 means 15 s;
// a negative value changes nothing.
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setKeepAlivePeriod(d)
}

// SetKeepAliveConfig sets SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL and
// TCP_KEEPCNT, tcp(7). In each field 0 means the default of package net (15 s,
// 15 s, 9), and a negative value leaves the option as it is.
func (c *Conn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setKeepAliveConfig(config)
}

// SetLinger says what Close does with data that has not been sent yet:
// SO_LINGER, socket(7). If seconds is negative, the data is sent in the
// background. If it is 0, the data is dropped and the connection is reset. If
// it is positive, the kernel keeps trying to send it for that many seconds.
func (c *Conn) SetLinger(seconds int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setLinger(seconds)
}

// SetReadBuffer sets SO_RCVBUF, in bytes. The kernel doubles the value, see
// socket(7).
func (c *Conn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setReadBuffer(bytes)
}

// SetWriteBuffer sets SO_SNDBUF, in bytes. The kernel doubles the value, see
// socket(7).
func (c *Conn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.setWriteBuffer(bytes)
}

// SyscallConn gives access to the descriptor, as it does for connections of
// package net: for socket options, SO_PEERCRED, and system calls that eddy does
// not wrap. Functions passed to Read and Write of the result should not block.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	raw, err := c.t.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawConn{raw, c}, nil
}

// rawConn keeps the Conn, Listener or PacketConn alive for as long as somebody
// has its descriptor: its methods, while they run.
type rawConn struct {
	raw   syscall.RawConn
	owner any
}

// Control implements syscall.RawConn.
func (r rawConn) Control(f func(fd uintptr)) error {
	err := r.raw.Control(f)
	runtime.KeepAlive(r.owner)
	return err
}

// Read implements syscall.RawConn.
func (r rawConn) Read(f func(fd uintptr) bool) error {
	err := r.raw.Read(f)
	runtime.KeepAlive(r.owner)
	return err
}

// Write implements syscall.RawConn.
func (r rawConn) Write(f func(fd uintptr) bool) error {
	err := r.raw.Write(f)
	runtime.KeepAlive(r.owner)
	return err
}

// File returns a duplicate of the descriptor, in non-blocking mode. Closing the
// file does not close the connection, nor the other way round.
func (c *Conn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	f, err := c.t.file()
	runtime.KeepAlive(c)
	return f, err
}

// MultipathTCP reports whether the connection uses MPTCP: SO_PROTOCOL is
// IPPROTO_MPTCP, socket(7), Linux 5.6. As in package net, a socket that has
// fallen back to TCP does not count where the kernel tells, from Linux 5.16 on.
func (c *Conn) MultipathTCP() (bool, error) {
	if !c.ok() {
		return false, syscall.EINVAL
	}
	defer runtime.KeepAlive(c)
	return c.t.multipathTCP()
}
