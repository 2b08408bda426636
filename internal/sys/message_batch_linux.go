package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxMessages is the most messages that one call takes, UIO_MAXIOV.
const MaxMessages = 1024

// Messages is what recvmmsg(2) and sendmmsg(2) work on, to be used again and
// again. It belongs to one caller at a time, and is not to be copied.
type Messages struct {
	headers []header
	vectors []unix.Iovec
	names   []Name
}

// header is struct mmsghdr of linux/socket.h.
type header struct {
	unix.Msghdr
	length uint32
}

// Grow makes room for n messages, at most MaxMessages. What was set before is
// lost.
func (m *Messages) Grow(n int) {
	if n <= len(m.headers) {
		return
	}
	m.headers = make([]header, n)
	m.vectors = make([]unix.Iovec, n)
	m.names = make([]Name, n)
}

// SetIncoming makes message i one that is to be received into p and oob.
func (m *Messages) SetIncoming(i int, p, oob []byte) {
	name := &m.names[i]
	name.size = uint32(len(name.raw))
	m.vectors[i] = vectorOf(p)
	m.headers[i].Msghdr = messageOf(&m.vectors[i], oob, name)
}

// SetOutgoing makes message i one that is to be sent: to the address of its name
// or, if it is not named, to where the socket is connected.
func (m *Messages) SetOutgoing(i int, p, oob []byte, named bool) {
	var name *Name
	if named {
		name = &m.names[i]
	}
	m.vectors[i] = vectorOf(p)
	m.headers[i].Msghdr = messageOf(&m.vectors[i], oob, name)
}

// Name is the address that message i came from, or is to go to.
func (m *Messages) Name(i int) *Name { return &m.names[i] }

// Received tells how much of message i came, and with what flags. The kernel
// hands back the one that was asked for, too.
func (m *Messages) Received(i int) (n, oobn, flags int) {
	h := &m.headers[i]
	return int(h.length), int(h.Controllen), int(h.Flags &^ unix.MSG_CMSG_CLOEXEC)
}

// Sent tells how much of message i went.
func (m *Messages) Sent(i int) int { return int(m.headers[i].length) }

// Forget drops the pointers to the memory of the first n messages.
func (m *Messages) Forget(n int) {
	for i := range n {
		m.vectors[i].Base = nil
		m.headers[i].Control = nil
	}
}

// Receive is recvmmsg(2) for the first n messages, with MSG_CMSG_CLOEXEC:
// descriptors that come along are closed on exec. It returns how many have come,
// one at least.
func (m *Messages) Receive(fd, n int) (int, syscall.Errno) {
	// SAFETY: the kernel writes the headers and what they point to while the
	// call lasts: names and vectors of ours, buffers of the caller's. The
	// headers are in the heap and keep all of it reachable, and the kernel has
	// no pointers left when it returns.
	r, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(m.headers))), uintptr(n), receiving|unix.MSG_CMSG_CLOEXEC, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	for i := range int(r) {
		h := &m.headers[i]
		m.names[i].size = h.Namelen
		if racing {
			KernelWrote(unsafe.Slice(m.vectors[i].Base, h.length))
			KernelWrote(unsafe.Slice(h.Control, int(h.Controllen)))
		}
	}
	return int(r), 0
}

// Send is sendmmsg(2) for the messages from first up to end. It returns how many
// were taken, one at least.
func (m *Messages) Send(fd, first, end int) (int, syscall.Errno) {
	for i := first; racing && i < end; i++ {
		KernelReads(unsafe.Slice(m.vectors[i].Base, int(m.vectors[i].Len)))
		KernelReads(unsafe.Slice(m.headers[i].Control, int(m.headers[i].Controllen)))
	}
	// SAFETY: as in Receive, but that the kernel only writes the lengths.
	n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers[first])), uintptr(end-first), sending, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
