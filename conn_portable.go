package eddy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// portableConn is a connection of std's.
type portableConn struct {
	net.Conn
	network     string
	system      *portableSystem
	down        atomic.Bool // shutdown was called
	read, write interruption
}

// interruption makes a context end a call of std's, by way of its deadline; the
// deadline that the user has set is put back. Calls take turns, so that it ends
// nobody else's.
type interruption struct {
	turn  chan struct{} // capacity 1; full while somebody is inside
	mu    sync.Mutex
	user  time.Time
	ended bool // a context has moved the deadline
	shut  bool // so has shutdown, for good
}

// longAgo is in the past.
var longAgo = time.Unix(1, 0)

func (p *portableSystem) newConn(n net.Conn, network string) *portableConn {
	c := &portableConn{Conn: n, network: network, system: p}
	c.read.turn = make(chan struct{}, 1)
	c.write.turn = make(chan struct{}, 1)
	p.sockets.add(c)
	return c
}

// Close implements transport.
func (c *portableConn) Close() error {
	c.system.sockets.remove(c)
	return c.Conn.Close()
}

// shutdown implements portableSocket.
func (c *portableConn) shutdown() {
	c.down.Store(true)
	c.read.shutdown(c.Conn.SetReadDeadline)
	c.write.shutdown(c.Conn.SetWriteDeadline)
}

// final is an error of std's as it is to be passed on.
func (c *portableConn) final(err error) error { return endedBy(c.down.Load(), err) }

// Read implements transport.
func (c *portableConn) Read(p []byte) (int, error) {
	c.read.enter()
	n, err := c.Conn.Read(p)
	c.read.leave()
	return n, c.final(err)
}

// Write implements transport.
func (c *portableConn) Write(p []byte) (int, error) {
	c.write.enter()
	n, err := c.Conn.Write(p)
	c.write.leave()
	return n, c.final(err)
}

// enter takes the turn, and leave gives it to the next.
func (i *interruption) enter() { i.turn <- struct{}{} }

func (i *interruption) leave() { <-i.turn }

func (i *interruption) set(t time.Time, apply func(time.Time) error) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.user = t
	if i.ended || i.shut {
		return nil
	}
	return apply(t)
}

func (i *interruption) end(apply func(time.Time) error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	_ = apply(longAgo) // fails if the connection was closed, which ends the call, too
}

func (i *interruption) restore(apply func(time.Time) error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = false
	if !i.shut {
		_ = apply(i.user)
	}
}

// shutdown ends the call under way, and all others.
func (i *interruption) shutdown(apply func(time.Time) error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.shut = true
	_ = apply(longAgo)
}

// until calls f, and makes it end with the context.
func (i *interruption) until(ctx context.Context, apply func(time.Time) error, f func() (int, error)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case i.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer i.leave()
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		i.end(apply)
		close(over)
	})
	n, err := f()
	if !stop() {
		<-over
		i.restore(apply)
	}
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		err = inPlaceOf(err, ctx.Err())
	}
	return n, err
}

func (c *portableConn) readContext(ctx context.Context, p []byte) (int, error) {
	if ctx.Done() == nil {
		return c.Read(p)
	}
	n, err := c.read.until(ctx, c.Conn.SetReadDeadline, func() (int, error) { return c.Conn.Read(p) })
	return n, c.named("read", err)
}

func (c *portableConn) writeContext(ctx context.Context, p []byte) (int, error) {
	if ctx.Done() == nil {
		return c.Write(p)
	}
	n, err := c.write.until(ctx, c.Conn.SetWriteDeadline, func() (int, error) { return c.Conn.Write(p) })
	return n, c.named("write", err)
}

// named wraps a context's error as std wraps the others.
func (c *portableConn) named(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	err = c.final(err)
	if _, ok := err.(*net.OpError); ok {
		return err
	}
	return c.fail(op, err)
}

// fail says what std would.
func (c *portableConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (c *portableConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *portableConn) SetReadDeadline(t time.Time) error {
	return c.read.set(t, c.Conn.SetReadDeadline)
}

func (c *portableConn) SetWriteDeadline(t time.Time) error {
	return c.write.set(t, c.Conn.SetWriteDeadline)
}

func (c *portableConn) writeBuffers(v *net.Buffers) (int64, error) {
	c.write.enter()
	n, err := v.WriteTo(c.Conn)
	c.write.leave()
	return n, c.final(err)
}

func (c *portableConn) readFrom(r io.Reader) (int64, error) {
	n, err := lending(r, c.copyFrom)
	return n, c.final(err)
}

// copyFrom has its turn throughout if it copies a file, for which std has a system
// call: bytes would be lost that are on their way when somebody's context moves
// the deadline. With anything else, which may have to be waited for, there is a
// turn for each read and each write: a Write, and what is to end it, would wait
// behind a splice of std's for as long as the source has nothing.
func (c *portableConn) copyFrom(r io.Reader) (int64, error) {
	tcp, ok := c.Conn.(*net.TCPConn)
	source, _ := limited(r)
	if ok && isRegular(source) {
		c.write.enter()
		defer c.write.leave()
		return tcp.ReadFrom(r)
	}
	if from := portableOf(r); from != nil {
		r = onlyReader{from} // its own WriteTo would name the error once more
	}
	n, err := io.Copy(onlyWriter{c}, r)
	if err != nil && ok {
		err = c.fail("readfrom", err)
	}
	return n, err
}

// portableOf is the connection of std's behind a reader or a writer, or nil.
func portableOf(what any) *portableConn {
	switch c := what.(type) {
	case *portableConn:
		return c
	case *Conn:
		if c.ok() {
			p, _ := c.t.(*portableConn)
			return p
		}
	}
	return nil
}

func (c *portableConn) writeTo(w io.Writer) (n int64, err error) {
	if to := portableOf(w); to != nil {
		n, err = to.readFrom(c)
	} else {
		n, err = io.Copy(w, onlyReader{c})
	}
	if _, ok := c.Conn.(*net.TCPConn); ok && err != nil {
		err = c.fail("writeto", err)
	}
	return n, c.final(err)
}

func (c *portableConn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, lacks("SyscallConn", c.Conn)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	return portableRaw{raw, c}, nil
}

// portableRaw is std's, in turn with the other calls.
type portableRaw struct {
	syscall.RawConn
	c *portableConn
}

// Read implements syscall.RawConn.
func (r portableRaw) Read(f func(fd uintptr) bool) error {
	r.c.read.enter()
	defer r.c.read.leave()
	return r.c.final(r.RawConn.Read(f))
}

// Write implements syscall.RawConn.
func (r portableRaw) Write(f func(fd uintptr) bool) error {
	r.c.write.enter()
	defer r.c.write.leave()
	return r.c.final(r.RawConn.Write(f))
}

// via calls a method that std has for some kinds of connections: those that are T.
func via[T any](c *portableConn, method string, call func(T) error) error {
	if s, ok := c.Conn.(T); ok {
		return call(s)
	}
	return lacks(method, c.Conn)
}

func (c *portableConn) closeRead() error {
	return via(c, "CloseRead", func(s interface{ CloseRead() error }) error { return s.CloseRead() })
}

func (c *portableConn) closeWrite() error {
	return via(c, "CloseWrite", func(s interface{ CloseWrite() error }) error { return s.CloseWrite() })
}

func (c *portableConn) file() (*os.File, error) {
	if s, ok := c.Conn.(interface{ File() (*os.File, error) }); ok {
		return s.File()
	}
	return nil, lacks("File", c.Conn)
}

func (c *portableConn) multipathTCP() (bool, error) {
	if s, ok := c.Conn.(*net.TCPConn); ok {
		return s.MultipathTCP()
	}
	return false, nil
}

func (c *portableConn) setLinger(seconds int) error {
	return via(c, "SetLinger", func(s *net.TCPConn) error { return s.SetLinger(seconds) })
}

func (c *portableConn) setNoDelay(on bool) error {
	return via(c, "SetNoDelay", func(s *net.TCPConn) error { return s.SetNoDelay(on) })
}

func (c *portableConn) setKeepAlive(on bool) error {
	return via(c, "SetKeepAlive", func(s *net.TCPConn) error { return s.SetKeepAlive(on) })
}

func (c *portableConn) setKeepAlivePeriod(d time.Duration) error {
	return via(c, "SetKeepAlivePeriod", func(s *net.TCPConn) error { return s.SetKeepAlivePeriod(d) })
}

func (c *portableConn) setKeepAliveConfig(k net.KeepAliveConfig) error {
	return via(c, "SetKeepAliveConfig", func(s *net.TCPConn) error { return s.SetKeepAliveConfig(k) })
}

func (c *portableConn) setReadBuffer(bytes int) error {
	return via(c, "SetReadBuffer", func(s interface{ SetReadBuffer(int) error }) error { return s.SetReadBuffer(bytes) })
}

func (c *portableConn) setWriteBuffer(bytes int) error {
	return via(c, "SetWriteBuffer", func(s interface{ SetWriteBuffer(int) error }) error { return s.SetWriteBuffer(bytes) })
}

func (p *portableSystem) adoptConn(n net.Conn, network string) (transport, error) {
	if err := adoptable(n); err != nil {
		return nil, err
	}
	return p.newConn(n, network), nil
}

// adoptable says why something of std's cannot be taken over: it has no
// descriptor, or none any more.
func adoptable(what any) error {
	return withDescriptor(what, func(uintptr) error { return nil })
}
