package eddy

import (
	"context"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A Listener accepts connections. It has the methods of *net.TCPListener and
// *net.UnixListener, with the same errors. All methods may be called
// concurrently.
type Listener struct {
	d *Driver
	a acceptor
}

// acceptor is a listening socket as a backend has it. Its errors are final.
type acceptor interface {
	accept(ctx context.Context) (transport, error)
	Close() error
	LocalAddr() net.Addr
	SetDeadline(t time.Time) error
	file() (*os.File, error)
	setUnlinkOnClose(on bool)
	syscall.Conn
}

var (
	_ net.Listener = (*Listener)(nil)
	_ syscall.Conn = (*Listener)(nil)
)

func newListener(d *Driver, a acceptor) *Listener {
	l := &Listener{d, a}
	// As with std, the name of a Unix socket stays: somebody may have the File.
	runtime.AddCleanup(l, func(a acceptor) { a.setUnlinkOnClose(false); _ = a.Close() }, a)
	return l
}

func (l *Listener) ok() bool { return l != nil && l.a != nil }

// Accept waits for a connection and returns it; it is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn is [Listener.Accept] with a more specific result. An error for
// lack of descriptors (EMFILE, ENFILE) is temporary: the connection keeps
// waiting, so close some descriptors and call again.
func (l *Listener) AcceptConn() (*Conn, error) { return l.AcceptContext(context.Background()) }

// AcceptContext is [Listener.AcceptConn], except that it also returns when ctx
// ends, with ctx.Err() in a *net.OpError. No connection is lost: the next call
// returns it.
func (l *Listener) AcceptContext(ctx context.Context) (*Conn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	t, err := l.a.accept(ctx)
	runtime.KeepAlive(l)
	if err != nil {
		return nil, err
	}
	return newConn(t), nil
}

// Close stops listening. Calls of Accept in progress return net.ErrClosed.
// Connections that were accepted stay open. The name of a Unix socket is
// removed if Listen created it.
func (l *Listener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(l)
	return l.a.Close()
}

// Addr returns the address that the listener listens on. If the port was 0, it
// has the port that the kernel chose.
func (l *Listener) Addr() net.Addr {
	if !l.ok() {
		return nil
	}
	defer runtime.KeepAlive(l)
	return l.a.LocalAddr()
}

// SetDeadline makes Accept, including calls in progress, fail with
// os.ErrDeadlineExceeded at time t. The zero time means no deadline.
func (l *Listener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	defer runtime.KeepAlive(l)
	return l.a.SetDeadline(t)
}

// SetUnlinkOnClose says whether Close removes the name of a Unix socket. By
// default it does if Listen created the socket, and does not if it was adopted.
func (l *Listener) SetUnlinkOnClose(on bool) {
	if l.ok() {
		defer runtime.KeepAlive(l)
		l.a.setUnlinkOnClose(on)
	}
}

// File returns a duplicate of the descriptor. Closing the file does not close
// the listener, nor the other way round.
func (l *Listener) File() (*os.File, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	f, err := l.a.file()
	runtime.KeepAlive(l)
	return f, err
}

// SyscallConn gives access to the descriptor, for socket options. Only Control
// of the result can be used.
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	defer runtime.KeepAlive(l)
	raw, err := l.a.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawConn{raw, l}, nil
}

// ListenConfig is a net.ListenConfig with more settings, for
// [Driver.ListenWith] and [Driver.ListenPacketWith]. Its own methods Listen and
// ListenPacket are those of the default driver.
type ListenConfig struct {
	net.ListenConfig

	// ReusePort lets several sockets listen on the same address; the kernel spreads
	// connections or datagrams over them. SO_REUSEPORT, socket(7), Linux 3.9, the
	// BSDs and macOS. On other systems the error is errors.ErrUnsupported.
	ReusePort bool
}

// Listen listens on the address as net.Listen does, with the same errors. The
// network is tcp, tcp4, tcp6, unix or unixpacket.
func (d *Driver) Listen(ctx context.Context, network, address string) (*Listener, error) {
	return d.ListenWith(ctx, ListenConfig{}, network, address)
}

// ListenWith is [Driver.Listen] with settings.
func (d *Driver) ListenWith(ctx context.Context, config ListenConfig, network, address string) (*Listener, error) {
	if d.down.Load() {
		return nil, &net.OpError{Op: "listen", Net: network, Err: ErrShutdown}
	}
	std := config.std()
	n, err := std.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l, err := d.adoptListener(n, network, config.keepAlive())
	if err != nil {
		_ = n.Close()
		return nil, &net.OpError{Op: "listen", Net: network, Addr: n.Addr(), Err: err}
	}
	l.SetUnlinkOnClose(true)
	return l, nil
}

// Listen calls [Driver.ListenWith] on the default driver. It takes the place of
// net.ListenConfig's method, which does not know ReusePort.
func (c ListenConfig) Listen(ctx context.Context, network, address string) (*Listener, error) {
	return Default().ListenWith(ctx, c, network, address)
}

// std is the settings for package net.
func (c ListenConfig) std() *net.ListenConfig {
	std := c.ListenConfig
	if !c.ReusePort {
		return &std
	}
	before := std.Control
	std.Control = func(network, address string, conn syscall.RawConn) error {
		if before != nil {
			if err := before(network, address, conn); err != nil {
				return err
			}
		}
		var err error
		if controlErr := conn.Control(func(fd uintptr) { err = reusePort(fd) }); controlErr != nil {
			return controlErr
		}
		return err
	}
	return &std
}

// keepAlive is what std makes of the settings.
func (c ListenConfig) keepAlive() net.KeepAliveConfig {
	if !c.KeepAliveConfig.Enable && c.KeepAlive >= 0 {
		return net.KeepAliveConfig{Enable: true, Idle: c.KeepAlive}
	}
	return c.KeepAliveConfig
}

// AdoptListener turns a listener of package net into a Listener, for example
// one made from a descriptor that systemd passed. From then on only the result
// may be used and closed, not n. It fails, and leaves n as it was, if n has no
// descriptor of its own; of a TLS listener, adopt the one below it. With
// BackendPortable it also fails if n has no SetDeadline.
func (d *Driver) AdoptListener(n net.Listener) (*Listener, error) {
	if n == nil {
		return nil, syscall.EINVAL
	}
	return d.adoptListener(n, networkOf(n.Addr()), ListenConfig{}.keepAlive())
}

func (d *Driver) adoptListener(n net.Listener, network string, keepAlive net.KeepAliveConfig) (*Listener, error) {
	if l, ok := n.(*Listener); ok && l.ok() {
		return l, nil
	}
	if d.down.Load() {
		return nil, ErrShutdown
	}
	a, err := d.system.adoptListener(n, network, keepAlive)
	if err != nil {
		return nil, err
	}
	return newListener(d, a), nil
}

// Listen calls [Driver.Listen] on the default driver with a background context.
func Listen(network, address string) (*Listener, error) {
	return Default().Listen(context.Background(), network, address)
}

// AdoptListener calls [Driver.AdoptListener] on the default driver.
func AdoptListener(n net.Listener) (*Listener, error) { return Default().AdoptListener(n) }
