package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The flags of sends and receives, in Ioprio; set them after the Prep method.
const (
	RecvSendPollFirst  = 1 << 0 // 5.19: wait for readiness before the first attempt
	RecvMultishot      = 1 << 1 // 6.0: see PrepRecvMultishot
	RecvSendFixedBuf   = 1 << 2 // 6.0: the buffer is part of the registered one at BufIndex
	SendZCReportUsage  = 1 << 3 // 6.2: the notification's Res tells about copying
	RecvSendBundle     = 1 << 4 // 6.10: several provided buffers at once
	SendVectorized     = 1 << 5 // 6.17: Addr and Len are an iovec array
	NotifUsageZCCopied = 1 << 31
)

// The flags of accepts, in Ioprio.
const (
	AcceptMultishot = 1 << 0 // 5.19: see PrepAccept
	AcceptDontwait  = 1 << 1 // 6.10: EAGAIN instead of waiting
	AcceptPollFirst = 1 << 2 // 6.10: wait for readiness before the first attempt
)

// PrepAccept accepts connections; the result is the descriptor. address and
// size (in: room, out: length) may both be nil, and are the kernel's until the
// completion. flags are SOCK_CLOEXEC and SOCK_NONBLOCK. With multishot it goes
// on until the completion without CQEFMore, and address must be nil. OpAccept,
// kernel 5.5, accept4(2); multishot kernel 5.19.
func (s *SQE) PrepAccept(fd int, address *unix.RawSockaddrAny, size *uint32, flags uint32, multishot bool) {
	s.prep(OpAccept, fd, pointer(address), 0, pointer(size))
	s.OpFlags = flags
	if multishot {
		s.Ioprio = AcceptMultishot
	}
}

// PrepConnect connects to an address of the given size, which may be let go
// once submitted. OpConnect, kernel 5.5, connect(2).
func (s *SQE) PrepConnect(fd int, sockaddr unsafe.Pointer, size uint32) {
	s.prep(OpConnect, fd, address(sockaddr), 0, uint64(size))
}

// PrepBind binds to an address of the given size, which may be let go once
// submitted. OpBind, kernel 6.11, bind(2).
func (s *SQE) PrepBind(fd int, sockaddr unsafe.Pointer, size uint32) {
	s.prep(OpBind, fd, address(sockaddr), 0, uint64(size))
}

// PrepListen makes a socket accept connections. OpListen, kernel 6.11, listen(2).
func (s *SQE) PrepListen(fd int, backlog uint32) { s.prep(OpListen, fd, 0, backlog, 0) }

// PrepSocket makes a socket; the result is its descriptor. OpSocket, kernel
// 5.19, socket(2); kind takes SOCK_CLOEXEC and SOCK_NONBLOCK too.
func (s *SQE) PrepSocket(domain int, kind, protocol uint32) {
	s.prep(OpSocket, domain, 0, protocol, uint64(kind))
}

// PrepShutdown shuts down one or both directions, SHUT_... . OpShutdown, kernel
// 5.11, shutdown(2).
func (s *SQE) PrepShutdown(fd int, how uint32) { s.prep(OpShutdown, fd, 0, how, 0) }

// PrepSend sends p, with flags MSG_...; with MSG_WAITALL it does not complete
// before all is sent or an error came (kernel 5.19). OpSend, kernel 5.6, send(2).
// p until the completion, cut to MaxReadWrite.
func (s *SQE) PrepSend(fd int, p []byte, flags uint32) {
	s.prep(OpSend, fd, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = flags
}

// PrepRecv receives into p, with flags MSG_... . OpRecv, kernel 5.6, recv(2).
// p until the completion, cut to MaxReadWrite.
func (s *SQE) PrepRecv(fd int, p []byte, flags uint32) {
	s.prep(OpRecv, fd, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = flags
}

// PrepRecvSelect receives into a buffer of the group, which is chosen when there
// is data (CQE.BufferID); ENOBUFS if there is none. With multishot it goes on
// until the completion without CQEFMore. Len, if set afterwards, limits each
// receive; before kernel 5.19 it must be. OpRecv, kernel 5.7; multishot kernel
// 6.0.
func (s *SQE) PrepRecvSelect(fd int, group uint16, flags uint32, multishot bool) {
	s.prep(OpRecv, fd, 0, 0, 0)
	s.Flags |= SQEBufferSelect
	s.OpFlags, s.BufIndex = flags, group
	if multishot {
		s.Ioprio = RecvMultishot
	}
}

// PrepSendSelect sends the next buffer of the group, with flags MSG_...; set
// RecvSendBundle in Ioprio to send as many as the socket takes at once, of which
// CQE.BufferID is the first. ENOBUFS if there is none. OpSend, kernel 6.10
// (FeatRecvsendBundle). The group's buffers as with BufferRing.
func (s *SQE) PrepSendSelect(fd int, group uint16, flags uint32) {
	s.prep(OpSend, fd, 0, 0, 0)
	s.Flags |= SQEBufferSelect
	s.OpFlags, s.BufIndex = flags, group
}

// SendTo gives a PrepSend or PrepSendZC the address to send to, of the given
// size, which is the kernel's until submitted, or until the completion with
// SQEAsync. Call it after the Prep method. OpSendZC, kernel 6.0; OpSend, kernel
// 6.1, sendto(2).
func (s *SQE) SendTo(sockaddr unsafe.Pointer, size uint16) {
	s.Off, s.FileIndex = address(sockaddr), int32(size)
	if bigEndian {
		s.FileIndex <<= 16
	}
}

// PrepSendmsg sends a message, with flags MSG_... . OpSendmsg, kernel 5.3,
// sendmsg(2). What message points to until the completion, message itself, its
// vectors and its address until submitted.
func (s *SQE) PrepSendmsg(fd int, message *unix.Msghdr, flags uint32) {
	s.prep(OpSendmsg, fd, pointer(message), 1, 0)
	s.OpFlags = flags
}

// PrepRecvmsg receives a message, with flags MSG_... . OpRecvmsg, kernel 5.3,
// recvmsg(2). message and all it points to until the completion.
func (s *SQE) PrepRecvmsg(fd int, message *unix.Msghdr, flags uint32) {
	s.prep(OpRecvmsg, fd, pointer(message), 1, 0)
	s.OpFlags = flags
}

// PrepRecvmsgSelect is PrepRecvmsg into a buffer of the group, which is chosen
// when there is a message (CQE.BufferID). Of message the kernel reads Namelen
// and Controllen, the room for the address and for the control data, and not
// the vectors. With multishot it goes on until the completion without CQEFMore,
// the buffer holds address and control data too, see ReceivedMessage, and
// message is the kernel's until submitted; without, both go where message says
// and the buffer gets the contents only. OpRecvmsg, kernel 5.7; multishot kernel
// 6.0.
func (s *SQE) PrepRecvmsgSelect(fd int, message *unix.Msghdr, group uint16, flags uint32, multishot bool) {
	s.prep(OpRecvmsg, fd, pointer(message), 1, 0)
	s.Flags |= SQEBufferSelect
	s.OpFlags, s.BufIndex = flags, group
	if multishot {
		s.Ioprio = RecvMultishot
	}
}

// PrepSendZC sends p without copying it if the kernel can. A first completion
// has the result and, unless it failed early, CQEFMore; a second one
// (CQE.Notification) gives p back. OpSendZC, kernel 6.0.
func (s *SQE) PrepSendZC(fd int, p []byte, flags uint32) {
	s.prep(OpSendZC, fd, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = flags
}

// PrepSendmsgZC is PrepSendmsg without copying, see PrepSendZC. OpSendmsgZC,
// kernel 6.1.
func (s *SQE) PrepSendmsgZC(fd int, message *unix.Msghdr, flags uint32) {
	s.prep(OpSendmsgZC, fd, pointer(message), 1, 0)
	s.OpFlags = flags
}

// PrepEpollCtl changes an epoll(7) instance. OpEpollCtl, kernel 5.6,
// epoll_ctl(2). event until submitted.
func (s *SQE) PrepEpollCtl(epfd, op, fd int, event *unix.EpollEvent) {
	s.prep(OpEpollCtl, epfd, pointer(event), uint32(op), uint64(uint32(int32(fd))))
}

// PrepEpollWait waits for events of an epoll(7) instance; the result is how
// many. OpEpollWait, kernel 6.15, epoll_wait(2). events until the completion.
func (s *SQE) PrepEpollWait(epfd int, events []unix.EpollEvent) {
	s.prep(OpEpollWait, epfd, sliceAddress(events), transferLength(len(events)), 0)
}
