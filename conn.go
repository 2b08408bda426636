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

// Conn is a connection: of the networks tcp, unix, unixpacket, or a connected
// one of udp or unixgram. It does what *net.TCPConn, *net.UnixConn and
// *net.UDPConn do, in the same words and with the same errors: *net.OpError with
// net.ErrClosed, os.ErrDeadlineExceeded or an errno inside, and a bare io.EOF.
//
// All methods may be called concurrently, Close included. Reads take turns with
// reads and writes with writes.
//
// Memory: a method that takes a []byte uses it until it returns and never
// after. Read and Write allocate nothing.
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

// Read reads what has arrived, waiting until something has. At the end of the
// stream it returns io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.Read(p)
	runtime.KeepAlive(c)
	return n, err
}

// Write writes all of p, waiting for room as long as it takes. If it returns
// an error, n bytes were taken before.
func (c *Conn) Write(p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.Write(p)
	runtime.KeepAlive(c)
	return n, err
}

// WriteString is Write of a string.
func (c *Conn) WriteString(s string) (int, error) { return c.Write([]byte(s)) }

// ReadContext is Read that also ends when ctx does, with its error. Nothing is
// lost: what has not been read can be read later.
func (c *Conn) ReadContext(ctx context.Context, p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.readContext(ctx, p)
	runtime.KeepAlive(c)
	return n, err
}

// WriteContext is Write that also ends when ctx does, with its error; n bytes
// have been written by then.
func (c *Conn) WriteContext(ctx context.Context, p []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeContext(ctx, p)
	runtime.KeepAlive(c)
	return n, err
}

// WriteBuffers writes the buffers with writev(2) and takes what was written out
// of v, as net.Buffers.WriteTo does on std's connections. (That method asks
// for a method which only package net can have; given a Conn it makes a call for
// each buffer. ReadFrom(v) gets here too.)
func (c *Conn) WriteBuffers(v *net.Buffers) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeBuffers(v)
	runtime.KeepAlive(c)
	return n, err
}

// ReadFrom writes everything that r gives, for io.Copy. From a file (*os.File,
// *File) it is sendfile(2), from another Conn splice(2), from a *net.Buffers
// writev(2); of an *io.LimitedReader of these, too.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.readFrom(r)
	runtime.KeepAlive(c)
	runtime.KeepAlive(r)
	return n, err
}

// WriteTo reads to the end and writes it all to w, for io.Copy. To another Conn
// it is splice(2).
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	n, err := c.t.writeTo(w)
	runtime.KeepAlive(c)
	runtime.KeepAlive(w)
	return n, err
}

// Close closes the connection. Whoever is inside a call leaves it with
// net.ErrClosed; the descriptor's number is free for others when the last of them
// has left, and Close returns then. The second time it returns net.ErrClosed.
func (c *Conn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.Close()
}

// CloseRead shuts down the reading half, shutdown(2).
func (c *Conn) CloseRead() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.closeRead()
}

// CloseWrite shuts down the writing half: the peer reads io.EOF, shutdown(2).
func (c *Conn) CloseWrite() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.closeWrite()
}

// LocalAddr is the address of this end, a *net.TCPAddr, *net.UnixAddr or
// *net.UDPAddr.
func (c *Conn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.t.LocalAddr()
}

// RemoteAddr is the address of the other end.
func (c *Conn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.t.RemoteAddr()
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.SetDeadline(t)
}

// SetReadDeadline makes reads end with os.ErrDeadlineExceeded at t, those under
// way included; the zero time means never. A later deadline makes the connection
// usable again.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.SetReadDeadline(t)
}

// SetWriteDeadline is SetReadDeadline for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.SetWriteDeadline(t)
}

// SetNoDelay switches TCP_NODELAY, which is on at first, tcp(7).
func (c *Conn) SetNoDelay(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setNoDelay(on)
}

// SetKeepAlive switches SO_KEEPALIVE, socket(7).
func (c *Conn) SetKeepAlive(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setKeepAlive(on)
}

// SetKeepAlivePeriod sets how long the connection is idle before it is probed,
// TCP_KEEPIDLE, in seconds rounded up.
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setKeepAlivePeriod(d)
}

// SetKeepAliveConfig sets all that tcp(7) knows of keep-alive; 0 means std's
// default (15 s, 15 s, 9) and a negative value leaves it as it is.
func (c *Conn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setKeepAliveConfig(config)
}

// SetLinger says what Close does with data not yet sent, SO_LINGER: negative, to
// send it in the background; 0, to drop it and reset the connection; positive,
// likewise to send it, for so many seconds.
func (c *Conn) SetLinger(seconds int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setLinger(seconds)
}

// SetReadBuffer sets SO_RCVBUF, which the kernel doubles, socket(7).
func (c *Conn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setReadBuffer(bytes)
}

// SetWriteBuffer sets SO_SNDBUF, which the kernel doubles, socket(7).
func (c *Conn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.t.setWriteBuffer(bytes)
}

// SyscallConn gives access to the descriptor, as std's does: for socket options,
// SO_PEERCRED, and calls that eddy has not. The functions passed to Read and
// Write should not block.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	raw, err := c.t.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawConn{raw, c}, nil
}

// rawConn keeps the Conn, or Listener, alive for as long as somebody has its
// descriptor: its methods, while they run.
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

// File is a duplicate of the descriptor, as std's is: close both. It is in
// non-blocking mode.
func (c *Conn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	f, err := c.t.file()
	runtime.KeepAlive(c)
	return f, err
}

// MultipathTCP reports whether the connection uses MPTCP, Linux 5.16.
func (c *Conn) MultipathTCP() (bool, error) {
	if !c.ok() {
		return false, syscall.EINVAL
	}
	return c.t.multipathTCP()
}

// noLimit stands for a reader that is to be read to its end.
const noLimit = 1<<63 - 1

// limited looks into an io.LimitedReader.
func limited(r io.Reader) (io.Reader, int64) {
	if l, ok := r.(*io.LimitedReader); ok {
		return l.R, max(l.N, 0)
	}
	return r, noLimit
}
