package eddy

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/sys"
)

// alignControl rounds up to what control messages are aligned to.
func alignControl(n int) int { return unix.CmsgSpace(n) - unix.CmsgSpace(0) }

// segmentSpace is the room that the control message for the size of segments
// takes.
var segmentSpace = alignControl(unix.CmsgSpace(4))

// leastControl is the room for all that the kernel puts before the size of the
// segments, and that: time stamps of every kind, drop count, mark and priority,
// see net/socket.c and net/ipv4/udp.c. Where the size has no room it is lost, and
// with it where datagrams end.
const leastControl = 256

// roomFor is the control data that is received for a caller with this much room.
func roomFor(oob []byte) int { return max(alignControl(len(oob))+segmentSpace, leastControl) }

// incomingBatch is what ReadBatch works with. The kernel writes control data
// into memory of ours, since there may be the size of the segments among it that
// the caller has left no room for.
type incomingBatch struct {
	messages sys.Messages
	control  []byte
}

func (s *packetSocket) readBatch(ctx context.Context, m []Message) (int, error) {
	m = m[:min(len(m), sys.MaxMessages)]
	n, err := s.inTurn(ctx, driver.Reading, func() (int, error) { return s.receiveBatch(m) })
	if err != nil {
		return 0, s.fail("read", wrapErrno("recvmmsg", err))
	}
	return n, nil
}

// receiveBatch receives what there is. The caller holds reads.
func (s *packetSocket) receiveBatch(m []Message) (n int, err error) {
	in := &s.incoming
	in.prepare(m, s.isUnix())
	err = s.attempt(driver.Reading, func() error {
		var errno syscall.Errno
		n, errno = in.messages.Receive(s.fd, len(m))
		return errnoError(errno)
	})
	if err == nil {
		in.deliver(m[:n], s.isUnix())
	}
	in.messages.Forget(len(m))
	return n, err
}

func (in *incomingBatch) prepare(m []Message, isUnix bool) {
	in.messages.Grow(len(m))
	if isUnix {
		for i := range m {
			in.messages.SetIncoming(i, m[i].Buf, m[i].OOB)
		}
		return
	}
	space := 0
	for i := range m {
		space += roomFor(m[i].OOB)
	}
	if len(in.control) < space {
		in.control = make([]byte, space)
	}
	rest := in.control
	for i := range m {
		size := roomFor(m[i].OOB)
		in.messages.SetIncoming(i, m[i].Buf, rest[:size])
		rest = rest[size:]
	}
}

func (in *incomingBatch) deliver(m []Message, isUnix bool) {
	rest := in.control
	for i := range m {
		message := &m[i]
		message.N, message.NN, message.Flags = in.messages.Received(i)
		message.Addr = addrPortOf(in.messages.Name(i))
		message.SegmentSize = 0
		if isUnix {
			continue
		}
		if received := rest[:message.NN]; message.NN > 0 {
			message.takeControl(received)
		}
		rest = rest[roomFor(message.OOB):]
	}
}

// takeControl copies the control data that came into OOB, as far as it has room,
// but for the size of the segments.
func (m *Message) takeControl(received []byte) {
	m.NN = 0
	full := false
	for len(received) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(received)
		if err != nil {
			break
		}
		whole := received[:len(received)-len(rest)]
		received = rest
		if header.Level == unix.SOL_UDP && header.Type == unix.UDP_GRO && len(data) >= 4 {
			m.SegmentSize = int(int32(binary.NativeEndian.Uint32(data)))
			continue
		}
		full = full || m.NN+int(header.Len) > len(m.OOB)
		if full {
			m.Flags |= unix.MSG_CTRUNC
			continue
		}
		m.NN += copy(m.OOB[m.NN:], whole)
	}
}

// outgoingBatch is what WriteBatch works with.
type outgoingBatch struct {
	messages sys.Messages
	control  []byte
	cuts     bool // the kernel is known to know UDP_SEGMENT
}

func (s *packetSocket) writeBatch(ctx context.Context, m []Message) (int, error) {
	sent, err := s.inTurn(ctx, driver.Writing, func() (int, error) { return s.sendBatch(m) })
	if err != nil {
		to := s.remote
		if addr := m[sent].Addr; addr.IsValid() {
			to = udpAddrPort{addr}
		}
		return sent, s.failTo(to, wrapErrno("sendmmsg", err))
	}
	return sent, nil
}

// sendBatch sends all. The caller holds writes.
func (s *packetSocket) sendBatch(m []Message) (sent int, err error) {
	out := &s.outgoing
	for sent < len(m) {
		part := m[sent:min(sent+sys.MaxMessages, len(m))]
		ready, bad := s.prepare(part)
		done := 0
		for done < ready && err == nil {
			err = s.attempt(driver.Writing, func() error {
				n, errno := out.messages.Send(s.fd, done, ready)
				for i := done; i < done+n; i++ {
					part[i].N, part[i].NN = out.messages.Sent(i), len(part[i].OOB)
				}
				done += n
				return errnoError(errno)
			})
		}
		out.messages.Forget(ready)
		sent += done
		if err == nil {
			err = bad
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// prepare makes messages for the kernel until one cannot be: it says how many,
// and why not the next.
func (s *packetSocket) prepare(m []Message) (ready int, err error) {
	out := &s.outgoing
	out.messages.Grow(len(m))
	space := 0
	for i := range m {
		if m[i].SegmentSize != 0 {
			space += alignControl(len(m[i].OOB)) + segmentSpace
		}
	}
	if len(out.control) < space {
		out.control = make([]byte, space)
	}
	rest := out.control
	for i := range m {
		message := &m[i]
		if err := s.address(i, message); err != nil {
			return i, err
		}
		oob := message.OOB
		if message.SegmentSize != 0 {
			if err := s.canCut(message.SegmentSize); err != nil {
				return i, err
			}
			oob = withSegmentSize(rest, oob, message.SegmentSize)
			rest = rest[alignControl(len(message.OOB))+segmentSpace:]
		}
		out.messages.SetOutgoing(i, message.Buf, oob, message.Addr.IsValid())
	}
	return len(m), nil
}

// address names who gets message i.
func (s *packetSocket) address(i int, m *Message) error {
	switch {
	case !m.Addr.IsValid() && s.remote == nil:
		return errMissingAddress
	case !m.Addr.IsValid():
		return nil
	case s.connected:
		return net.ErrWriteToConnected
	case s.isUnix():
		return unix.EAFNOSUPPORT
	}
	return nameAddrPort(s.outgoing.messages.Name(i), s.family, m.Addr)
}

// canCut reports whether the kernel would heed the size. Before Linux 4.18 it
// ignores what it does not know.
func (s *packetSocket) canCut(size int) error {
	if size < 0 || size > maxSegment {
		return unix.EINVAL
	}
	if !s.outgoing.cuts {
		err := s.use(func(fd int) error { // the number may be anybody's after Close
			if !knows(fd, unix.UDP_SEGMENT) {
				return lacksOffload("UDP_SEGMENT")
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.outgoing.cuts = true
	}
	return nil
}

// maxSegment is the largest size that fits into the kernel's 16 bits.
const maxSegment = 1<<16 - 1

// withSegmentSize puts oob and a control message with the size into memory.
func withSegmentSize(memory, oob []byte, size int) []byte {
	start := alignControl(len(oob))
	clear(memory[copy(memory, oob):start])
	appendix := memory[start : start+unix.CmsgSpace(2)]
	clear(appendix)
	// struct cmsghdr: the length is a size_t, then two ints.
	word := unix.SizeofCmsghdr - 8
	if word == 8 {
		binary.NativeEndian.PutUint64(appendix, uint64(unix.CmsgLen(2)))
	} else {
		binary.NativeEndian.PutUint32(appendix, uint32(unix.CmsgLen(2)))
	}
	binary.NativeEndian.PutUint32(appendix[word:], unix.SOL_UDP)
	binary.NativeEndian.PutUint32(appendix[word+4:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(appendix[unix.CmsgLen(0):], uint16(size))
	return memory[:start+len(appendix)]
}

func (s *packetSocket) setSegmentSize(bytes int) error {
	return s.setOffload("UDP_SEGMENT", unix.UDP_SEGMENT, bytes)
}

func (s *packetSocket) setReceiveOffload(on bool) error {
	return s.setOffload("UDP_GRO", unix.UDP_GRO, intOf(on))
}

// setOffload sets an option of UDP's, if the kernel knows it.
func (s *packetSocket) setOffload(what string, name, value int) error {
	return s.failSet("set", s.use(func(fd int) error {
		if !knows(fd, name) {
			return lacksOffload(what)
		}
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_UDP, name, value))
	}))
}

// knows reports whether a socket has an option of UDP's.
func knows(fd, name int) bool {
	_, err := unix.GetsockoptInt(fd, unix.SOL_UDP, name)
	return err == nil
}

func (s *packetSocket) offloads() (segment, receive bool) {
	_ = s.use(func(fd int) error {
		segment, receive = knows(fd, unix.UDP_SEGMENT), knows(fd, unix.UDP_GRO)
		return nil
	})
	return segment, receive
}
