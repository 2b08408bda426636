package eddy

import (
	"context"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// Listener accepts connections. It does what *net.TCPListener and
// *net.UnixListener do. All methods may be called concurrently.
type Listener struct {
	d *Driver
	a acceptor
}

// acceptor is a listening socket as a backend has it. Its errors are final.
type acceptor interface {
	accept() (transport, error)
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
	runtime.AddCleanup(l, func(a acceptor) { _ = a.Close() }, a)
	return l
}

func (l *Listener) ok() bool { return l != nil && l.a != nil }

// Accept waits for a connection; it is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn is Accept without the interface. An error for want of descriptors
// (EMFILE, ENFILE) is temporary: close some and call again; the connection waits.
func (l *Listener) AcceptConn() (*Conn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	t, err := l.a.accept()
	runtime.KeepAlive(l)
	if err != nil {
		return nil, err
	}
	return newConn(t), nil
}

// Close stops listening. Whoever waits in Accept leaves it with net.ErrClosed.
// Connections already accepted stay. A Unix socket that Listen made is removed.
func (l *Listener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	return l.a.Close()
}

// Addr is the address listened on, with the port the kernel chose if it was 0.
func (l *Listener) Addr() net.Addr {
	if !l.ok() {
		return nil
	}
	return l.a.LocalAddr()
}

// SetDeadline makes Accept end with os.ErrDeadlineExceeded at t; the zero time
// means never.
func (l *Listener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	return l.a.SetDeadline(t)
}

// SetUnlinkOnClose says whether Close removes the name of a Unix socket. It does
// if Listen made it, and does not if it was adopted.
func (l *Listener) SetUnlinkOnClose(on bool) {
	if l.ok() {
		l.a.setUnlinkOnClose(on)
	}
}

// File is a duplicate of the descriptor, as std's is: close both.
func (l *Listener) File() (*os.File, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	f, err := l.a.file()
	runtime.KeepAlive(l)
	return f, err
}

// SyscallConn gives access to the descriptor, for socket options. Of the result
// only Control can be used.
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	raw, err := l.a.SyscallConn()
	if err != nil {
		return nil, err
	}
	return rawConn{raw, l}, nil
}

// ListenConfig is net.ListenConfig for a driver.
type ListenConfig struct {
	net.ListenConfig

	// ReusePort lets several sockets listen on the same address, each with a
	// share of the connections, or datagrams, SO_REUSEPORT, socket(7), Linux 3.9.
	// Elsewhere it is errors.ErrUnsupported, but for the BSDs and macOS.
	ReusePort bool
}

// Listen listens on a network and address as net.Listen does. Networks: tcp,
// tcp4, tcp6, unix, unixpacket. Errors are std's.
func (d *Driver) Listen(ctx context.Context, network, address string) (*Listener, error) {
	return d.ListenWith(ctx, ListenConfig{}, network, address)
}

// ListenWith is Listen with settings.
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

// AdoptListener takes over a listener of std's, such as one made from a
// descriptor that systemd passed: use and close the result instead. It fails for
// those that have no descriptor of their own (TLS: adopt what is below it).
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
	a, err := d.system.adoptListener(d, n, network, keepAlive)
	if err != nil {
		return nil, err
	}
	return newListener(d, a), nil
}

// Listen is Driver.Listen on Default.
func Listen(network, address string) (*Listener, error) {
	return Default().Listen(context.Background(), network, address)
}

// AdoptListener is Driver.AdoptListener on Default.
func AdoptListener(n net.Listener) (*Listener, error) { return Default().AdoptListener(n) }
