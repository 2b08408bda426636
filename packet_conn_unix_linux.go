package eddy

import (
	"context"
	"errors"
	"net"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

func (s *packetSocket) readUnix(ctx context.Context, p []byte) (int, *net.UnixAddr, error) {
	var from sys.Name
	n, err := s.receiveFrom(ctx, p, &from)
	if err != nil {
		return 0, nil, err
	}
	return n, unixAddrOf(&from, s.network), nil
}

func (s *packetSocket) writeUnix(ctx context.Context, p []byte, to *net.UnixAddr) (n int, err error) {
	switch {
	case s.connected:
		err = net.ErrWriteToConnected
	case to == nil:
		err = errMissingAddress
	case to.Net != s.network:
		err = unix.EAFNOSUPPORT
	default:
		var name sys.Name
		name.SetUnix(to.Name)
		n, err = s.sendTo(ctx, p, &name)
	}
	if err != nil {
		return 0, s.failTo(unixOpAddr(to), err)
	}
	return n, nil
}

// readMsgUnix implements packets.
func (s *socket) readMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	if _, ok := s.local.(*net.UnixAddr); !ok {
		return 0, 0, 0, nil, s.fail("read", errors.ErrUnsupported)
	}
	// Control data comes with data only, on anything but datagrams.
	if len(p) == 0 && len(oob) > 0 && s.kind&endsAtZero != 0 {
		p = make([]byte, 1)
	}
	var name sys.Name
	// Descriptors that come along are closed on exec, and the flags tell, as std's do.
	n, oobn, flags, err = s.receiveMessage(p, oob, &name, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, 0, 0, nil, err
	}
	return n, oobn, flags, unixAddrOf(&name, s.network), nil
}

// writeMsgUnix implements packets.
func (s *socket) writeMsgUnix(p, oob []byte, to *net.UnixAddr) (int, int, error) {
	return s.sendUnix(p, oob, to, s.kind&refusesAddress != 0)
}

func (s *packetSocket) writeMsgUnix(p, oob []byte, to *net.UnixAddr) (int, int, error) {
	return s.sendUnix(p, oob, to, s.connected)
}

func (s *socket) sendUnix(p, oob []byte, to *net.UnixAddr, connected bool) (n, oobn int, err error) {
	_, ok := s.local.(*net.UnixAddr)
	var name *sys.Name
	switch {
	case !ok:
		err = errors.ErrUnsupported
	case connected && s.kind&endsAtZero == 0:
		err = net.ErrWriteToConnected
	case to != nil && to.Net != s.network:
		err = unix.EAFNOSUPPORT
	case to != nil:
		name = new(sys.Name)
		name.SetUnix(to.Name)
	}
	if err == nil {
		n, oobn, err = s.sendUnixMessage(p, oob, name)
	}
	if err != nil {
		return 0, 0, s.failTo(unixOpAddr(to), err)
	}
	return n, oobn, nil
}

// sendUnixMessage adds the byte that control data needs, on anything but
// datagrams. It does not count.
func (s *socket) sendUnixMessage(p, oob []byte, to *sys.Name) (n, oobn int, err error) {
	if len(p) > 0 || len(oob) == 0 {
		return s.sendMessage(p, oob, to)
	}
	if s.kind&endsAtZero != 0 {
		p = make([]byte, 1)
	}
	_, oobn, err = s.sendMessage(p, oob, to)
	return 0, oobn, err
}
