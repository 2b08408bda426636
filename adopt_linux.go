package eddy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// take duplicates the descriptor of something of std's and closes the original.
// The duplicate is the same open socket, with its options and its queue.
func take(what any, closeIt func() error) (fd int, err error) {
	conn, ok := what.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("eddy: adopt %T: it has no descriptor: %w", what, errUnsupported)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(original uintptr) {
		fd, err = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if controlErr != nil {
		return -1, controlErr
	}
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	if err = unix.SetNonblock(fd, true); err != nil {
		err = os.NewSyscallError("fcntl", err)
	} else {
		err = closeIt()
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
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
	if kind&isStream != 0 && strings.HasPrefix(network, "tcp") && protocolOf(fd) == unix.IPPROTO_TCP {
		kind |= shortIsAll
	}
	return kind
}

func (l *linux) adoptConn(d *Driver, c net.Conn, network string) (transport, error) {
	local, remote := c.LocalAddr(), c.RemoteAddr()
	loop, err := l.loops.pick(d)
	if err != nil {
		return nil, err
	}
	fd, err := take(c, c.Close)
	if err != nil {
		return nil, err
	}
	return loop.open(fd, kindOf(fd, network), network, local, remote)
}

func (l *linux) adoptListener(d *Driver, n net.Listener, network string, keepAlive net.KeepAliveConfig) (acceptor, error) {
	loop, err := l.loops.pick(d)
	if err != nil {
		return nil, err
	}
	if u, ok := n.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	local := n.Addr()
	fd, err := take(n, n.Close)
	if err != nil {
		return nil, err
	}
	kind := kindOf(fd, network)
	socket, err := loop.open(fd, 0, network, local, nil)
	if err != nil {
		return nil, err
	}
	listening := &listening{socket: socket, driver: d, loops: &l.loops, kind: kind, keepAlive: keepAlive}
	if strings.HasPrefix(network, "tcp") {
		// The connections inherit them, unless the listening socket has none: one
		// of MPTCP has no TCP_KEEPIDLE before Linux 6.11.
		listening.setEach = errors.Join(socket.setNoDelay(true), socket.applyKeepAlive(keepAlive)) != nil
	}
	return listening, nil
}
