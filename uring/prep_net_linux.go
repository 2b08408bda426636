package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The flags of sends and receives, in Ioprio; set them after the Prep method.
const (
	RecvSendPollFirst  = 1 << 0  // 5.19: wait for readiness before the first attempt
	RecvMultishot      = 1 << 1  // 6.0: see PrepRecvMultishot
	RecvSendFixedBuf   = 1 << 2  // 6.0: the buffer is part of the registered one at BufIndex
	SendZCReportUsage  = 1 << 3  // 6.2: the notification's Res tells about copying
	RecvSendBundle     = 1 << 4  // 6.10: several provided buffers at once
	SendVectorized     = 1 << 5  // 6.17: Addr and Len are an iovec array
	NotifUsageZCCopied = 1 << 31 // 6.2: in that Res: the data was copied
)

// The flags of accepts, in Ioprio.
const (
	AcceptMultishot = 1 << 0 // 5.19: see PrepAccept
	AcceptDontwait  = 1 << 1 // 6.10: EAGAIN instead of waiting
	AcceptPollFirst = 1 << 2 // 6.10: wait for readiness before the first attempt
)

// PrepAccept accepts a connection; the result is its descriptor. flags are
// SOCK_CLOEXEC and SOCK_NONBLOCK. address and size (in: room for the address,
// out: its length) may both be nil; the kernel uses them until the completion.
// With multishot it accepts one connection after another, until a completion
// without CQEFMore, and address must be nil. OpAccept, kernel 5.5, accept4(2);
// multishot kernel 5.19.
func (s *SQE) PrepAccept(fd int, address *unix.RawSockaddrAny, size *uint32, flags uint32, multishot bool) {
	s.prep(OpAccept, fd, pointer(address), 0, pointer(size))
	s.OpFlags = flags
	if multishot {
		s.Ioprio = AcceptMultishot
	}
}

// PrepConnect connects a socket to an address of size bytes. The kernel uses
// the address until submitted. OpConnect, kernel 5.5, connect(2).
func (s *SQE) PrepConnect(fd int, sockaddr unsafe.Pointer, size uint32) {
	s.prep(OpConnect, fd, address(sockaddr), 0, uint64(size))
}

// PrepBind binds a socket to an address of size bytes. The kernel uses the
// address until submitted. OpBind, kernel 6.11, bind(2).
func (s *SQE) PrepBind(fd int, sockaddr unsafe.Pointer, size uint32) {
	s.prep(OpBind, fd, address(sockaddr), 0, uint64(size))
}

// PrepListen makes a socket listen for connections. OpListen, kernel 6.11,
// listen(2).
func (s *SQE) PrepListen(fd int, backlog uint32) { s.prep(OpListen, fd, 0, backlog, 0) }

// PrepSocket makes a socket; the result is its descriptor. kind also takes
// SOCK_CLOEXEC and SOCK_NONBLOCK. OpSocket, kernel 5.19, socket(2).
func (s *SQE) PrepSocket(domain int, kind, protocol uint32) {
	s.prep(OpSocket, domain, 0, protocol, uint64(kind))
}

// PrepShutdown shuts down one or both directions of a connection, SHUT_... .
// OpShutdown, kernel 5.11, shutdown(2).
func (s *SQE) PrepShutdown(fd int, how uint32) { s.prep(OpShutdown, fd, 0, how, 0) }

// PrepSend sends p, with flags MSG_... . With MSG_WAITALL it completes only
// when everything is sent or there was an error (kernel 5.19). p is cut to
// MaxReadWrite bytes. The kernel uses p until the completion. OpSend, kernel
// 5.6, send(2).
func (s *SQE) PrepSend(fd int, p []byte, flags uint32) {
	s.prep(OpSend, fd, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = flags
}

// PrepRecv receives into p, with flags MSG_... . p is cut to MaxReadWrite
// bytes. The kernel uses p until the completion. OpRecv, kernel 5.6, recv(2).
func (s *SQE) PrepRecv(fd int, p []byte, flags uint32) {
	s.prep(OpRecv, fd, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = flags
}

// PrepRecvSelect receives into a buffer of the group, which the kernel chooses
// when there is data (CQE.BufferID). The result is ENOBUFS if the group has
// none. With multishot it goes on until a completion without CQEFMore. Len, if
// it is set afterwards, limits each receive; before kernel 5.19 it must be set.
// OpRecv, kernel 5.7; multishot kernel 6.0.
//
// Kernels up to and including 6.18.44 can lose the end of a stream under a
// multishot receive: if it comes right behind data, the data is reported and the
// end never is (seen with SetupSQPoll, once in thousands of times). Whoever
// depends on the end asks poll(2) when nothing has come for a while; the receive
// can be cancelled all the same.
func (s *SQE) PrepRecvSelect(fd int, group uint16, flags uint32, multishot bool) {
	s.prep(OpRecv, fd, 0, 0, 0)
	s.Flags |= SQEBufferSelect
	s.OpFlags, s.BufIndex = flags, group
	if multishot {
		s.Ioprio = RecvMultishot
	}
}

// PrepSendSelect sends the next buffer of the group, with flags MSG_... . Set
// RecvSendBundle in Ioprio to send as many buffers as the socket takes at once;
// CQE.BufferID is the first of them. The result is ENOBUFS if the group has
// none. The rules for the buffers are those of [BufferRing]. OpSend, kernel
// 6.10 (FeatRecvsendBundle).
func (s *SQE) PrepSendSelect(fd int, group uint16, flags uint32) {
	s.prep(OpSend, fd, 0, 0, 0)
	s.Flags |= SQEBufferSelect
	s.OpFlags, s.BufIndex = flags, group
}

// SendTo gives a PrepSend or PrepSendZC the address to send to, of size bytes.
// The kernel uses the address until submitted; with SQEAsync, until the
// completion. Call it after the Prep method. OpSendZC, kernel 6.0; OpSend,
// kernel 6.1; sendto(2).
func (s *SQE) SendTo(sockaddr unsafe.Pointer, size uint16) {
	s.Off, s.FileIndex = address(sockaddr), int32(size)
	if bigEndian {
		s.FileIndex <<= 16
	}
}

// PrepSendmsg sends a message, with flags MSG_... . The kernel uses message,
// its vectors and its address until submitted, and everything else that message
// points to until the completion. OpSendmsg, kernel 5.3, sendmsg(2).
func (s *SQE) PrepSendmsg(fd int, message *unix.Msghdr, flags uint32) {
	s.prep(OpSendmsg, fd, pointer(message), 1, 0)
	s.OpFlags = flags
}

// PrepRecvmsg receives a message, with flags MSG_... . The kernel uses message
// and everything it points to until the completion. OpRecvmsg, kernel 5.3,
// recvmsg(2).
func (s *SQE) PrepRecvmsg(fd int, message *unix.Msghdr, flags uint32) {
	s.prep(OpRecvmsg, fd, pointer(message), 1, 0)
	s.OpFlags = flags
}

// PrepRecvmsgSelect is [SQE.PrepRecvmsg] into a buffer of the group, which the
// kernel chooses when there is a message (CQE.BufferID). Of message the kernel
// reads Namelen and Controllen, the room for the address and the control data,
// but not the vectors.
//
// Without multishot, address and control data go where message says, and the
// buffer gets only the contents. With multishot it goes on until a completion
// without CQEFMore; the buffer then also holds the address and the control
// data, see [ParseMessage], and the kernel uses message until submitted.
// OpRecvmsg, kernel 5.7; multishot kernel 6.0.
func (s *SQE) PrepRecvmsgSelect(fd int, message *unix.Msghdr, group uint16, flags uint32, multishot bool) {
	s.prep(OpRecvmsg, fd, pointer(message), 1, 0)
	s.Flags |= SQEBufferSelect
	s.OpFlags, s.BufIndex = flags, group
	if multishot {
		s.Ioprio = RecvMultishot
	}
}

// PrepSendZC sends p without copying it, if the kernel can. The first
// completion has the result and, unless the send failed early, CQEFMore. A
// second one (CQE.Notification) gives p back. OpSendZC, kernel 6.0.
func (s *SQE) PrepSendZC(fd int, p []byte, flags uint32) {
	s.prep(OpSendZC, fd, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = flags
}

// PrepSendmsgZC is [SQE.PrepSendmsg] without copying, see [SQE.PrepSendZC].
// OpSendmsgZC, kernel 6.1.
func (s *SQE) PrepSendmsgZC(fd int, message *unix.Msghdr, flags uint32) {
	s.prep(OpSendmsgZC, fd, pointer(message), 1, 0)
	s.OpFlags = flags
}

// PrepEpollCtl changes an epoll(7) instance. The kernel uses event until
// submitted. OpEpollCtl, kernel 5.6, epoll_ctl(2).
func (s *SQE) PrepEpollCtl(epfd, op, fd int, event *unix.EpollEvent) {
	s.prep(OpEpollCtl, epfd, pointer(event), uint32(op), uint64(uint32(int32(fd))))
}

// PrepEpollWait waits for events of an epoll(7) instance; the result is how
// many there are. The kernel uses events until the completion. OpEpollWait,
// kernel 6.15, epoll_wait(2).
func (s *SQE) PrepEpollWait(epfd int, events []unix.EpollEvent) {
	s.prep(OpEpollWait, epfd, sliceAddress(events), transferLength(len(events)), 0)
}
