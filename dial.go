package eddy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Dialer is a net.Dialer whose connections are eddy's.
type Dialer struct {
	net.Dialer

	// Driver performs the I/O of the connections; nil means [Default].
	Driver *Driver
}

// Dial is [Dialer.DialContext] with a background context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to the address as net.Dialer.DialContext does, with its
// name resolution, fallback between address families and time limits. The
// result is a *Conn; its static type is net.Conn, so that the method can be
// used where such a function is wanted, as in http.Transport.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	driver := d.Driver
	if driver == nil {
		driver = Default()
	}
	c, err := driver.dial(ctx, &d.Dialer, network, address)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Dial connects to the address as net.Dialer.DialContext does, with the same
// errors. The network is tcp, tcp4, tcp6, unix, unixpacket, udp, udp4, udp6 or
// unixgram.
func (d *Driver) Dial(ctx context.Context, network, address string) (*Conn, error) {
	return d.dial(ctx, &net.Dialer{}, network, address)
}

func (d *Driver) dial(ctx context.Context, dialer *net.Dialer, network, address string) (*Conn, error) {
	if d.down.Load() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: ErrShutdown}
	}
	n, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c, err := d.adopt(n, network)
	if err != nil {
		_ = n.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Source: n.LocalAddr(), Addr: n.RemoteAddr(), Err: err}
	}
	return c, nil
}

// Adopt turns a connection of package net into a Conn. From then on only the
// result may be used and closed, not n. The socket keeps its options, but
// deadlines have to be set again. Adopt fails, and leaves n as it was, if n has
// no descriptor of its own; of a TLS connection, adopt the one below it.
func (d *Driver) Adopt(n net.Conn) (*Conn, error) {
	if n == nil {
		return nil, syscall.EINVAL
	}
	return d.adopt(n, networkOf(n.LocalAddr()))
}

// withDescriptor calls f with the descriptor of something of std's that is to be
// adopted.
func withDescriptor(what any, f func(fd uintptr) error) error {
	conn, ok := what.(syscall.Conn)
	if !ok {
		return fmt.Errorf("eddy: adopt %T: it has no descriptor: %w", what, errors.ErrUnsupported)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if controlErr := raw.Control(func(fd uintptr) { err = f(fd) }); controlErr != nil {
		return controlErr
	}
	return err
}

// networkOf is the network of an address that may be missing.
func networkOf(a net.Addr) string {
	if a == nil {
		return "socket"
	}
	return a.Network()
}

func (d *Driver) adopt(n net.Conn, network string) (*Conn, error) {
	if c, ok := n.(*Conn); ok && c.ok() {
		return c, nil
	}
	if d.down.Load() {
		return nil, ErrShutdown
	}
	t, err := d.system.adoptConn(n, network)
	if err != nil {
		return nil, err
	}
	return newConn(t), nil
}

// Dial calls [Driver.Dial] on the default driver with a background context.
func Dial(network, address string) (*Conn, error) {
	return Default().Dial(context.Background(), network, address)
}

// DialContext calls [Driver.Dial] on the default driver.
func DialContext(ctx context.Context, network, address string) (*Conn, error) {
	return Default().Dial(ctx, network, address)
}

// Adopt calls [Driver.Adopt] on the default driver.
func Adopt(n net.Conn) (*Conn, error) { return Default().Adopt(n) }
