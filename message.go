package eddy

import (
	"context"
	"iter"
	"net/netip"
	"syscall"
)

// A Message is a datagram in a batch, or several datagrams of the same size
// that are handled as one.
//
// The memory is the caller's: ReadBatch and WriteBatch use Buf and OOB until
// they return and never after. The same messages can be used for every batch.
type Message struct {
	// Buf holds what is to be sent, or has room for what is received. If a datagram
	// does not fit, the rest is lost and Flags has syscall.MSG_TRUNC.
	Buf []byte

	// OOB holds control data to be sent, or has room for control data that is
	// received; see recvmsg(2). If it does not fit, the rest is lost and Flags has
	// syscall.MSG_CTRUNC. BackendPortable cannot send any on a unixgram socket that
	// was dialed (net.ErrWriteToConnected).
	OOB []byte

	// N and NN are how many bytes of Buf and of OOB were received or sent.
	N, NN int

	// Flags are the flags of a received message, see recvmsg(2).
	Flags int

	// Addr is the address that the message came from or goes to. For sending on a
	// connected socket it is the zero value. It is not used on unixgram.
	Addr netip.AddrPort

	// SegmentSize, if it is not 0, is the size in bytes of the datagrams that Buf
	// consists of; the last one may be smaller. When sending, the kernel splits Buf
	// (UDP_SEGMENT, udp(7), Linux 4.18), into a limited number of datagrams: 64 or
	// more. When receiving, the kernel has joined them; see
	// [PacketConn.SetReceiveOffload].
	SegmentSize int
}

// Datagrams returns an iterator over the datagrams that were received into Buf.
// They are parts of Buf, not copies.
func (m *Message) Datagrams() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rest := m.Buf[:m.N]
		for m.SegmentSize > 0 && len(rest) > m.SegmentSize {
			if !yield(rest[:m.SegmentSize:m.SegmentSize]) {
				return
			}
			rest = rest[m.SegmentSize:]
		}
		yield(rest)
	}
}

// ReadBatch waits for a datagram, then receives as many as are there, up to
// len(m) and 1024, into the messages in order (recvmmsg(2)). It returns how many.
// If ctx ends first, the error is ctx.Err() in a *net.OpError, and no datagram is
// lost. It does not allocate if an earlier call had as many messages.
// BackendPortable receives one datagram at a time.
func (c *PacketConn) ReadBatch(ctx context.Context, m []Message) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(m) == 0 {
		return 0, nil
	}
	n, err := c.t.readBatch(ctx, m)
	c.keep()
	return n, err
}

// WriteBatch sends the messages in order (sendmmsg(2)), waiting for buffer
// space as long as it takes. It returns how many were sent; if not all were,
// the error says why the next one was not. If ctx ends first, that error is
// ctx.Err() in a *net.OpError. It does not allocate if an earlier call had as
// many messages. On unixgram the socket must be connected.
func (c *PacketConn) WriteBatch(ctx context.Context, m []Message) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(m) == 0 {
		return 0, nil
	}
	n, err := c.t.writeBatch(ctx, m)
	c.keep()
	return n, err
}

// SetSegmentSize makes the kernel split everything that is sent into datagrams
// of the given size, 1 to 65535 bytes; 0 switches that off. UDP_SEGMENT,
// udp(7), Linux 4.18. On other systems, and with BackendPortable, the error is
// errors.ErrUnsupported.
func (c *PacketConn) SetSegmentSize(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	err := c.t.setSegmentSize(bytes)
	c.keep()
	return err
}

// SetReceiveOffload lets the kernel join datagrams of the same size from the
// same sender. UDP_GRO, udp(7), Linux 5.0. On other systems, and with
// BackendPortable, the error is errors.ErrUnsupported. While it is on, use
// [PacketConn.ReadBatch] with buffers of 65535 bytes: Message.SegmentSize says where
// each datagram ends. Other methods return the joined datagrams as one; ReadMsgUDP
// has their size in its control data.
func (c *PacketConn) SetReceiveOffload(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	err := c.t.setReceiveOffload(on)
	c.keep()
	return err
}

// Offloads reports what the kernel can do for this socket: split what is sent
// ([PacketConn.SetSegmentSize], Message.SegmentSize) and join what is received
// ([PacketConn.SetReceiveOffload]).
func (c *PacketConn) Offloads() (segment, receive bool) {
	if !c.ok() {
		return false, false
	}
	segment, receive = c.t.offloads()
	c.keep()
	return segment, receive
}
