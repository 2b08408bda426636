package sys

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Name is the address of a socket in the kernel's form, sockaddr(3type). The zero
// value is no address.
type Name struct {
	// raw is as linux/in.h, linux/in6.h and linux/un.h say, ports and addresses
	// in network order, the rest in the machine's:
	//
	//	      0       2      4        8     24     28
	//	IPv4  family  port   address
	//	IPv6  family  port   flow     address zone
	//	Unix  family  path ...
	raw  [unix.SizeofSockaddrAny]byte
	size uint32 // of what is used
}

// unfit is the size of a name that cannot be passed to the kernel.
const unfit = ^uint32(0)

// Unfit makes it a name of which calls say EINVAL, without asking the kernel.
func (n *Name) Unfit() { n.size = unfit }

// Family is unix.AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for no address.
func (n *Name) Family() int {
	if n.size < 2 {
		return unix.AF_UNSPEC
	}
	return int(binary.NativeEndian.Uint16(n.raw[:]))
}

// SetInet4 makes it an IPv4 address.
func (n *Name) SetInet4(ip [4]byte, port uint16) {
	binary.NativeEndian.PutUint16(n.raw[:], unix.AF_INET)
	binary.BigEndian.PutUint16(n.raw[2:], port)
	copy(n.raw[4:], ip[:])
	clear(n.raw[8:unix.SizeofSockaddrInet4])
	n.size = unix.SizeofSockaddrInet4
}

// SetInet6 makes it an IPv6 address; zone is the index of an interface, or 0.
func (n *Name) SetInet6(ip [16]byte, port uint16, zone uint32) {
	binary.NativeEndian.PutUint16(n.raw[:], unix.AF_INET6)
	binary.BigEndian.PutUint16(n.raw[2:], port)
	clear(n.raw[4:8])
	copy(n.raw[8:], ip[:])
	binary.NativeEndian.PutUint32(n.raw[24:], zone)
	n.size = unix.SizeofSockaddrInet6
}

// SetUnix makes it the path of a Unix socket; a leading '@' or zero byte stands
// for the abstract namespace, unix(7). A path too long makes it unfit.
func (n *Name) SetUnix(path string) {
	abstract := path != "" && (path[0] == '@' || path[0] == 0)
	room := unix.SizeofSockaddrUnix - 2
	if !abstract {
		room-- // for the zero at the end
	}
	if len(path) > room {
		n.Unfit()
		return
	}
	binary.NativeEndian.PutUint16(n.raw[:], unix.AF_UNIX)
	clear(n.raw[2:])
	copy(n.raw[2:], path)
	n.size = 2 + uint32(len(path))
	switch {
	case abstract:
		n.raw[2] = 0
	case path != "":
		n.size++
	}
}

// Inet4 is the address of a name of the family AF_INET.
func (n *Name) Inet4() (ip [4]byte, port uint16) {
	return [4]byte(n.raw[4:]), binary.BigEndian.Uint16(n.raw[2:])
}

// Inet6 is the address of a name of the family AF_INET6.
func (n *Name) Inet6() (ip [16]byte, port uint16, zone uint32) {
	return [16]byte(n.raw[8:]), binary.BigEndian.Uint16(n.raw[2:]), binary.NativeEndian.Uint32(n.raw[24:])
}

// Unix is the path of a name of the family AF_UNIX. As in std, abstract names
// begin with '@', and end with their first zero byte.
func (n *Name) Unix() string {
	path := n.raw[2:max(n.size, 2)]
	if len(path) == 0 || path[0] == 0 {
		return "@" + upToZero(path[min(1, len(path)):])
	}
	return upToZero(path)
}

func upToZero(p []byte) string {
	for i, b := range p {
		if b == 0 {
			return string(p[:i])
		}
	}
	return string(p)
}

// ReceiveFrom is recvfrom(2); it never blocks. Up to rawLimit bytes it does not
// tell the scheduler.
func ReceiveFrom(fd int, p []byte, from *Name) (int, syscall.Errno) {
	from.size = uint32(len(from.raw))
	var n uintptr
	var errno syscall.Errno
	// SAFETY: the kernel writes p, the name and its size while the call lasts;
	// all are operands, so kept alive, and a stack does not move during a
	// system call.
	if len(p) <= rawLimit {
		n, _, errno = syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), receiving, uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.size)))
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), receiving, uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.size)))
	}
	if errno != 0 {
		return 0, errno
	}
	KernelWrote(p[:n])
	return int(n), 0
}

// SendTo is sendto(2) on a socket of datagrams; it never blocks. Up to rawLimit
// bytes it does not tell the scheduler.
func SendTo(fd int, p []byte, to *Name) syscall.Errno {
	if to.size == unfit {
		return unix.EINVAL
	}
	KernelReads(p)
	var errno syscall.Errno
	// SAFETY: as in ReceiveFrom, but that the kernel reads.
	if len(p) <= rawLimit {
		_, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), sending, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size))
	} else {
		_, _, errno = syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), sending, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size))
	}
	return errno
}

// ReceiveMessage is recvmsg(2); it never blocks. with is what it asks for besides.
func ReceiveMessage(fd int, p, oob []byte, from *Name, with int) (n, oobn, flags int, errno syscall.Errno) {
	from.size = uint32(len(from.raw))
	vector := vectorOf(p)
	message := messageOf(&vector, oob, from)
	// SAFETY: the kernel writes the message and what it points to while the
	// call lasts. All of it is in live variables, which the pointers in the
	// message keep valid even if the stack moves before the call; during a
	// system call it does not.
	r, _, errno := syscall.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), uintptr(with)|receiving)
	if errno != 0 {
		return 0, 0, 0, errno
	}
	from.size = message.Namelen
	oobn = int(message.Controllen)
	KernelWrote(p[:r])
	KernelWrote(oob[:oobn])
	return int(r), oobn, int(message.Flags), 0
}

// SendMessage is sendmsg(2); it never blocks. The name is nil where the socket
// knows where to send.
func SendMessage(fd int, p, oob []byte, to *Name) (int, syscall.Errno) {
	if to != nil && to.size == unfit {
		return 0, unix.EINVAL
	}
	KernelReads(p)
	KernelReads(oob)
	vector := vectorOf(p)
	message := messageOf(&vector, oob, to)
	// SAFETY: as in ReceiveMessage, but that the kernel reads.
	n, _, errno := syscall.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), sending)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// vectorOf is one buffer.
func vectorOf(p []byte) unix.Iovec {
	vector := unix.Iovec{Base: unsafe.SliceData(p)}
	vector.SetLen(len(p))
	return vector
}

// messageOf is a message of its parts, of which oob may be empty and name nil.
func messageOf(vector *unix.Iovec, oob []byte, name *Name) unix.Msghdr {
	message := unix.Msghdr{Iov: vector}
	message.SetIovlen(1)
	if len(oob) > 0 {
		message.Control = unsafe.SliceData(oob)
		message.SetControllen(len(oob))
	}
	if name != nil {
		message.Name, message.Namelen = &name.raw[0], name.size
	}
	return message
}
