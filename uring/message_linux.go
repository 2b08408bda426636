package uring

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvmsgOut is struct io_uring_recvmsg_out, which begins the buffer of a
// multishot recvmsg.
//
//	header | room for the address | room for the control data | contents
type recvmsgOut struct {
	nameLength    uint32
	controlLength uint32
	payloadLength uint32
	flags         uint32
}

// A ReceivedMessage is one message received by a PrepRecvmsgSelect with
// multishot. Its slices are parts of the buffer that the completion named.
type ReceivedMessage struct {
	Name    []byte // the sender's address, a struct sockaddr; cut to the room for it
	Control []byte // control messages, cmsg(3)
	Payload []byte // the contents
	Flags   uint32 // MSG_TRUNC, MSG_CTRUNC and so on, as in recvmsg(2)

	// NameLength is the full length of the address in bytes. If Name is shorter, it
	// was cut.
	NameLength uint32
	// PayloadLength is the length of the message in bytes. It is larger than the
	// length of Payload only if the message did not fit the buffer and MSG_TRUNC was
	// requested.
	PayloadLength uint32
}

// ParseMessage parses what a PrepRecvmsgSelect with multishot and this message
// has put into a buffer. p is the first CQE.Res bytes of the buffer. The result
// is false if p is too short. Nothing is copied: the result's slices are parts
// of p. See io_uring_prep_recvmsg_multishot(3), struct io_uring_recvmsg_out;
// kernel 6.0.
func ParseMessage(p []byte, message *unix.Msghdr) (ReceivedMessage, bool) {
	const header = int(unsafe.Sizeof(recvmsgOut{}))
	name, control := int64(message.Namelen), int64(message.Controllen)
	if rest := int64(len(p) - header); rest < 0 || control < 0 || name > rest || control > rest-name {
		return ReceivedMessage{}, false
	}
	out := recvmsgOut{
		nameLength:    binary.NativeEndian.Uint32(p),
		controlLength: binary.NativeEndian.Uint32(p[4:]),
		payloadLength: binary.NativeEndian.Uint32(p[8:]),
		flags:         binary.NativeEndian.Uint32(p[12:]),
	}
	p = p[header:]
	return ReceivedMessage{
		Name:          p[:min(int64(out.nameLength), name):name],
		Control:       p[name : name+min(int64(out.controlLength), control) : name+control],
		Payload:       p[name+control:],
		Flags:         out.flags,
		NameLength:    out.nameLength,
		PayloadLength: out.payloadLength,
	}, true
}
