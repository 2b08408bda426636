package eddy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// readBatch receives one message: nothing in std tells whether there is another.
func (c *portablePacketConn) readBatch(ctx context.Context, m []Message) (int, error) {
	first := &m[0]
	_, err := c.reading(ctx, func() (_ int, err error) {
		first.Addr, first.SegmentSize = netip.AddrPort{}, 0
		if c.unix != nil {
			first.N, first.NN, first.Flags, _, err = c.unix.ReadMsgUnix(first.Buf, first.OOB)
			first.Flags &^= closeOnExecFlag
		} else {
			first.N, first.NN, first.Flags, first.Addr, err = c.udp.ReadMsgUDPAddrPort(first.Buf, first.OOB)
		}
		return first.N, err
	})
	if err != nil {
		first.N, first.NN, first.Flags = 0, 0, 0
		return 0, err
	}
	return 1, nil
}

// closeOnExecFlag is MSG_CMSG_CLOEXEC, which Linux hands back; other systems do
// not use the bit.
const closeOnExecFlag = 0x40000000

func (c *portablePacketConn) writeBatch(ctx context.Context, m []Message) (int, error) {
	for i := range m {
		message := &m[i]
		n, err := c.writing(ctx, func() (n int, err error) {
			n, message.NN, err = c.send(message)
			return n, err
		})
		if err != nil {
			to := c.RemoteAddr()
			if message.Addr.IsValid() {
				to = udpAddrPort{message.Addr}
			}
			return i, c.fail("write", to, err)
		}
		message.N = n
	}
	return len(m), nil
}

// send sends one message of a batch.
func (c *portablePacketConn) send(m *Message) (n, oobn int, err error) {
	switch {
	case !m.Addr.IsValid() && c.RemoteAddr() == nil:
		return 0, 0, errMissingAddress
	case m.Addr.IsValid() && c.connected:
		return 0, 0, net.ErrWriteToConnected
	case m.Addr.IsValid() && c.unix != nil:
		return 0, 0, syscall.EAFNOSUPPORT
	case m.SegmentSize != 0:
		return 0, 0, lacksOffload("UDP_SEGMENT")
	case c.udp != nil:
		return c.udp.WriteMsgUDPAddrPort(m.Buf, m.OOB, m.Addr)
	case len(m.OOB) > 0:
		return c.unix.WriteMsgUnix(m.Buf, m.OOB, nil)
	}
	n, err = c.unix.Write(m.Buf)
	return n, 0, err
}

func lacksOffload(what string) error { return fmt.Errorf("%s: %w", what, errors.ErrUnsupported) }

func (c *portablePacketConn) setSegmentSize(int) error {
	return &net.OpError{Op: "set", Net: c.network, Addr: c.LocalAddr(), Err: lacksOffload("UDP_SEGMENT")}
}

func (c *portablePacketConn) setReceiveOffload(bool) error {
	return &net.OpError{Op: "set", Net: c.network, Addr: c.LocalAddr(), Err: lacksOffload("UDP_GRO")}
}

func (c *portablePacketConn) offloads() (segment, receive bool) { return false, false }
