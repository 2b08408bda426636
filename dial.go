package eddy

import (
	"context"
	"errors"
	"net"
	"syscall"
)

var errUnsupported = errors.ErrUnsupported

// Dialer is net.Dialer for a driver.
type Dialer struct {
	net.Dialer

	// Driver is Default() if it is nil.
	Driver *Driver
}

// Dial connects to an address. It returns a *Conn, as a net.Conn for those who
// want a function of that kind.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to an address, with std's name resolution, fallback
// between address families and time limits. The result is a *Conn.
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

// Dial connects to an address as net.Dialer.DialContext does. Networks: tcp,
// tcp4, tcp6, unix, unixpacket, udp, udp4, udp6, unixgram. Errors are std's.
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

// Adopt takes over a connection of std's: use and close the result instead. The
// connection keeps its options. It fails for those that have no descriptor of
// their own (TLS: adopt what is below it). Deadlines have to be set again.
func (d *Driver) Adopt(n net.Conn) (*Conn, error) {
	if n == nil {
		return nil, syscall.EINVAL
	}
	return d.adopt(n, networkOf(n.LocalAddr()))
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
	t, err := d.system.adoptConn(d, n, network)
	if err != nil {
		return nil, err
	}
	return newConn(t), nil
}

// Dial is Driver.Dial on Default, without a context.
func Dial(network, address string) (*Conn, error) {
	return Default().Dial(context.Background(), network, address)
}

// DialContext is Driver.Dial on Default.
func DialContext(ctx context.Context, network, address string) (*Conn, error) {
	return Default().Dial(ctx, network, address)
}

// Adopt is Driver.Adopt on Default.
func Adopt(n net.Conn) (*Conn, error) { return Default().Adopt(n) }
