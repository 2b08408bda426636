package eddy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/sys"
)

// packetSocket is a socket of datagrams. Several can be views of one socket,
// whose locks they share.
type packetSocket struct {
	*socket
	family    int
	connected bool          // by std, so that an address is refused
	incoming  incomingBatch // guarded by reads
	outgoing  outgoingBatch // guarded by writes
}

func (l *linuxSystem) adoptPacketConn(n net.PacketConn) (datagrams, error) {
	network, connected := origin(n)
	var remote net.Addr
	if c, ok := n.(net.Conn); ok {
		remote = c.RemoteAddr()
	}
	loop, err := l.loops.pick()
	if err != nil {
		return nil, err
	}
	s, err := loop.take(n, n.Close, network, n.LocalAddr(), remote)
	if err != nil {
		return nil, err
	}
	s.staysApart = true
	return &packetSocket{socket: s, family: familyOf(s.fd), connected: connected}, nil
}

// familyOf is SO_DOMAIN, Linux 2.6.32.
func familyOf(fd int) int {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return unix.AF_UNSPEC
	}
	return family
}

// asDatagrams implements packets.
func (s *socket) asDatagrams() (datagrams, error) {
	if s.local == nil || s.local.Network() != "udp" && s.local.Network() != "unixgram" {
		return nil, s.failSet("adopt", errors.ErrUnsupported)
	}
	view := &packetSocket{socket: s, connected: s.kind&refusesAddress != 0}
	err := s.use(func(fd int) error {
		view.family = familyOf(fd)
		return nil
	})
	if err != nil {
		return nil, s.failSet("adopt", err)
	}
	return view, nil
}

func (s *packetSocket) asDatagrams() (datagrams, error) { return s, nil }

func (s *packetSocket) net() string { return s.network }

func (s *packetSocket) isUnix() bool { return s.family == unix.AF_UNIX }

// failTo is fail for what was sent to an address.
func (s *socket) failTo(to net.Addr, err error) error {
	return &net.OpError{Op: "write", Net: s.network, Source: s.local, Addr: to, Err: err}
}

// errnoError is nil for no error.
func errnoError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// receiveFrom reads one datagram.
func (s *socket) receiveFrom(ctx context.Context, p []byte, from *sys.Name) (int, error) {
	n, err := s.inTurn(ctx, driver.Reading, func() (n int, err error) {
		err = s.attempt(driver.Reading, func() error {
			var errno syscall.Errno
			n, errno = sys.ReceiveFrom(s.fd, p, from)
			return errnoError(errno)
		})
		return n, err
	})
	if err != nil {
		return 0, s.fail("read", wrapErrno("recvfrom", err))
	}
	return n, nil
}

// sendTo sends one datagram. Its errors are not final.
func (s *socket) sendTo(ctx context.Context, p []byte, to *sys.Name) (int, error) {
	n, err := s.inTurn(ctx, driver.Writing, func() (int, error) {
		err := s.attempt(driver.Writing, func() error { return errnoError(sys.SendTo(s.fd, p, to)) })
		return len(p), err
	})
	if err != nil {
		return 0, wrapErrno("sendto", err)
	}
	return n, nil
}

// receiveMessage reads one message, with flags of recvmsg(2).
func (s *socket) receiveMessage(p, oob []byte, from *sys.Name, with int) (n, oobn, flags int, err error) {
	s.reads.Lock()
	err = s.attempt(driver.Reading, func() error {
		var errno syscall.Errno
		n, oobn, flags, errno = sys.ReceiveMessage(s.fd, p, oob, from, with)
		return errnoError(errno)
	})
	s.reads.Unlock()
	if err == nil && n == 0 && s.kind&endsAtZero != 0 {
		err = io.EOF
	}
	if err != nil {
		return 0, 0, 0, s.fail("read", wrapErrno("recvmsg", err))
	}
	return n, oobn, flags, nil
}

// sendMessage sends one message. Its errors are not final.
func (s *socket) sendMessage(p, oob []byte, to *sys.Name) (n, oobn int, err error) {
	s.writes.Lock()
	err = s.attempt(driver.Writing, func() error {
		var errno syscall.Errno
		n, errno = sys.SendMessage(s.fd, p, oob, to)
		return errnoError(errno)
	})
	s.writes.Unlock()
	if err != nil {
		return 0, 0, wrapErrno("sendmsg", err)
	}
	return n, len(oob), nil
}

func (s *packetSocket) readAddrPort(ctx context.Context, p []byte) (int, netip.AddrPort, error) {
	var from sys.Name
	n, err := s.receiveFrom(ctx, p, &from)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return n, addrPortOf(&from), nil
}

func (s *packetSocket) readMsg(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	var name sys.Name
	n, oobn, flags, err = s.receiveMessage(p, oob, &name, 0)
	if err != nil {
		return 0, 0, 0, netip.AddrPort{}, err
	}
	return n, oobn, flags, addrPortOf(&name), nil
}

func (s *packetSocket) writeAddrPort(ctx context.Context, p []byte, to netip.AddrPort) (n int, err error) {
	var name sys.Name
	switch {
	case s.connected:
		err = net.ErrWriteToConnected
	case !to.IsValid():
		err = errMissingAddress
	default:
		err = nameAddrPort(&name, s.family, to)
	}
	if err == nil {
		n, err = s.sendTo(ctx, p, &name)
	}
	if err != nil {
		return 0, s.failTo(udpAddrPort{to}, err)
	}
	return n, nil
}

func (s *packetSocket) writeUDP(ctx context.Context, p []byte, to *net.UDPAddr) (n int, err error) {
	var name sys.Name
	switch {
	case s.connected:
		err = net.ErrWriteToConnected
	case to == nil:
		err = errMissingAddress
	default:
		err = nameUDP(&name, s.family, to)
	}
	if err == nil {
		n, err = s.sendTo(ctx, p, &name)
	}
	if err != nil {
		return 0, s.failTo(udpOpAddr(to), err)
	}
	return n, nil
}

func (s *packetSocket) writeMsg(p, oob []byte, to netip.AddrPort) (n, oobn int, err error) {
	var name sys.Name
	switch {
	case s.connected && to.IsValid():
		err = net.ErrWriteToConnected
	case s.connected:
		n, oobn, err = s.sendMessage(p, oob, nil)
	case !to.IsValid():
		err = errMissingAddress
	default:
		if err = nameAddrPort(&name, s.family, to); err == nil {
			n, oobn, err = s.sendMessage(p, oob, &name)
		}
	}
	if err != nil {
		return 0, 0, s.failTo(udpAddrPort{to}, err)
	}
	return n, oobn, nil
}

func (s *packetSocket) writeMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error) {
	var name sys.Name
	switch {
	case s.connected && to != nil:
		err = net.ErrWriteToConnected
	case s.connected:
		n, oobn, err = s.sendMessage(p, oob, nil)
	case to == nil:
		err = errMissingAddress
	default:
		if err = nameUDP(&name, s.family, to); err == nil {
			n, oobn, err = s.sendMessage(p, oob, &name)
		}
	}
	if err != nil {
		return 0, 0, s.failTo(udpOpAddr(to), err)
	}
	return n, oobn, nil
}
