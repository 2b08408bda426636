package eddy

import (
	"context"
	"iter"
	"net/netip"
	"syscall"
)

// Message is a datagram of a batch, or several of one size that are handled as
// one.
//
// Its memory is the caller's: ReadBatch and WriteBatch use Buf and OOB until they
// return and never after. The same messages can be used for each batch.
type Message struct {
	// Buf is what to send, all of it, or where to put what is received. What
	// does not fit is lost, and Flags has syscall.MSG_TRUNC.
	Buf []byte

	// OOB is control data to send, or where to put what is received, recvmsg(2).
	// What does not fit is lost, and Flags has syscall.MSG_CTRUNC.
	OOB []byte

	// N and NN are how much of Buf and of OOB was received or sent.
	N, NN int

	// Flags are those of the message that was received.
	Flags int

	// Addr is where the message came from, or where to send it; the zero value
	// if the socket is connected. It is not used for unixgram.
	Addr netip.AddrPort

	// SegmentSize, if it is not 0, is the size in bytes of the datagrams that Buf
	// consists of; the last may be smaller. When sending, the kernel cuts Buf:
	// UDP_SEGMENT, udp(7), Linux 4.18. It has a limit for how many, 64 or more.
	// When receiving, the kernel has joined them: SetReceiveOffload.
	SegmentSize int
}

// Datagrams are the datagrams that were received in Buf.
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

// ReadBatch waits for a datagram and receives as many as there are, up to
// len(m), into the messages in turn, recvmmsg(2). It returns how many. It also
// ends when ctx does, with its error; no datagram is lost by that. It allocates
// nothing once it was called with as many messages. BackendPortable receives
// one at a time.
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

// WriteBatch sends the messages in turn, waiting for room as long as it takes,
// sendmmsg(2). It returns how many were sent; if that is not all, the error is why
// the next was not. It also ends when ctx does, with its error. It allocates
// nothing once it was called with as many messages. On unixgram the socket must
// be connected.
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

// SetSegmentSize makes the kernel cut everything that is sent into datagrams of
// so many bytes, 1 to 65535; 0 switches it off. UDP_SEGMENT, udp(7), Linux 4.18;
// elsewhere it is errors.ErrUnsupported.
func (c *PacketConn) SetSegmentSize(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	err := c.t.setSegmentSize(bytes)
	c.keep()
	return err
}

// SetReceiveOffload allows the kernel to join datagrams of one size from one
// sender, UDP_GRO, udp(7), Linux 5.0; elsewhere it is errors.ErrUnsupported.
// From then on only ReadBatch tells where one ends, in Message.SegmentSize, and
// each Buf should have 65535 bytes. Other reads return what was joined as one;
// ReadMsgUDP has the size in its control data.
func (c *PacketConn) SetReceiveOffload(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	err := c.t.setReceiveOffload(on)
	c.keep()
	return err
}

// Offloads reports what the kernel can do for this socket: cut what is sent
// (SetSegmentSize, Message.SegmentSize), and join what is received
// (SetReceiveOffload).
func (c *PacketConn) Offloads() (segment, receive bool) {
	if !c.ok() {
		return false, false
	}
	segment, receive = c.t.offloads()
	c.keep()
	return segment, receive
}
