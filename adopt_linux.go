package eddy

import (
	"errors"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// take puts something of std's in the loop's registry, and closes it then. If
// anything fails it is still the caller's.
func (l *loop) take(what any, closeIt func() error, network string, local, remote net.Addr) (*socket, error) {
	fd, err := duplicate(what)
	if err != nil {
		return nil, err
	}
	s, err := l.open(fd, kindOf(fd, network), network, local, remote)
	if err != nil {
		return nil, err
	}
	if err := closeIt(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// duplicate is another descriptor of something of std's: of the same open socket,
// with its options and its queue.
func duplicate(what any) (fd int, err error) {
	err = withDescriptor(what, func(original uintptr) (err error) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return -1, err
	}
	if err = unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}

// kindOf tells what calls on a socket mean.
func kindOf(fd int, network string) socketKind {
	var kind socketKind
	socketType, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case err != nil:
	case socketType == unix.SOCK_STREAM:
		kind = isStream | endsAtZero
	case socketType == unix.SOCK_SEQPACKET:
		kind = endsAtZero
	}
	if isPlainTCP(fd, network) {
		kind |= shortIsAll
	}
	return kind
}

// isPlainTCP tells whether a socket of the network is one of TCP, not of MPTCP.
func isPlainTCP(fd int, network string) bool {
	return strings.HasPrefix(network, "tcp") && protocolOf(fd) == unix.IPPROTO_TCP
}

func (l *linuxSystem) adoptConn(c net.Conn, network string) (transport, error) {
	loop, err := l.loops.pick()
	if err != nil {
		return nil, err
	}
	packets, connected := isDatagrams(c), false
	if packets {
		_, connected = origin(c.(net.PacketConn))
	}
	s, err := loop.take(c, c.Close, network, c.LocalAddr(), c.RemoteAddr())
	if err != nil {
		return nil, err
	}
	s.staysApart = packets
	if connected {
		s.kind |= refusesAddress
	}
	return s, nil
}

func (l *linuxSystem) adoptListener(n net.Listener, network string, keepAlive net.KeepAliveConfig) (acceptor, error) {
	loop, err := l.loops.pick()
	if err != nil {
		return nil, err
	}
	closeIt := func() error {
		if u, ok := n.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the name is ours now
		}
		return n.Close()
	}
	socket, err := loop.take(n, closeIt, network, n.Addr(), nil)
	if err != nil {
		return nil, err
	}
	socket.staysApart = true
	listening := &listening{socket: socket, loops: &l.loops, keepAlive: keepAlive}
	if strings.HasPrefix(network, "tcp") {
		// The connections inherit them, unless the listening socket has none: one
		// of MPTCP has no TCP_KEEPIDLE before Linux 6.11.
		listening.setEach = errors.Join(socket.setNoDelay(true), socket.applyKeepAlive(keepAlive)) != nil
	}
	return listening, nil
}
