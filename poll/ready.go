package poll

import (
	"fmt"
	"strings"
)

// Ready says what a descriptor is ready for. Several bits may be set. This is
// what sets them on Linux:
//
//	EPOLLIN     Readable
//	EPOLLOUT    Writable
//	EPOLLPRI    Priority
//	EPOLLRDHUP  ReadClosed                the peer shut down its writing half
//	EPOLLHUP    ReadClosed, WriteClosed   both halves are shut, or a pipe's
//	                                      last writer is gone
//	EPOLLERR    Error                     an error is pending, or a pipe's last
//	                                      reader is gone
//
// EPOLLERR does not imply WriteClosed: it also announces an ICMP error on a
// datagram socket, or a message in the error queue, after which writing can go
// on. A writer whose pipe has lost its reader is woken by Error and gets EPIPE.
type Ready uint8

const (
	// ReadyReadable: a read, receive or accept may make progress.
	ReadyReadable Ready = 1 << iota
	// ReadyWritable: a write or send may make progress, or a connect has ended.
	ReadyWritable
	// ReadyReadClosed: nothing comes after what can be read now.
	ReadyReadClosed
	// ReadyWriteClosed: nothing more can be written.
	ReadyWriteClosed
	// ReadyPriority: there is an exceptional condition.
	ReadyPriority
	// ReadyError: an error is pending, which the next call, or SO_ERROR, tells.
	ReadyError
)

// ReadyFor returns all bits that should make a caller who waits for the
// interest try again: the bit itself, the corresponding closed bit, and Error.
func ReadyFor(i Interest) Ready {
	var r Ready
	if i.IsReadable() {
		r |= ReadyReadable | ReadyReadClosed | ReadyError
	}
	if i.IsWritable() {
		r |= ReadyWritable | ReadyWriteClosed | ReadyError
	}
	if i.IsPriority() {
		r |= ReadyPriority | ReadyReadClosed | ReadyError
	}
	return r
}

// Satisfies reports whether a caller who waits for any part of the interest
// should try again.
func (r Ready) Satisfies(i Interest) bool { return r&ReadyFor(i) != 0 }

// IsReadable reports whether ReadyReadable is set.
func (r Ready) IsReadable() bool { return r&ReadyReadable != 0 }

// IsWritable reports whether ReadyWritable is set.
func (r Ready) IsWritable() bool { return r&ReadyWritable != 0 }

// IsReadClosed reports whether ReadyReadClosed is set.
func (r Ready) IsReadClosed() bool { return r&ReadyReadClosed != 0 }

// IsWriteClosed reports whether ReadyWriteClosed is set.
func (r Ready) IsWriteClosed() bool { return r&ReadyWriteClosed != 0 }

// IsPriority reports whether ReadyPriority is set.
func (r Ready) IsPriority() bool { return r&ReadyPriority != 0 }

// IsError reports whether ReadyError is set.
func (r Ready) IsError() bool { return r&ReadyError != 0 }

// String returns text like "readable|read-closed", or "none".
func (r Ready) String() string {
	return bitNames(uint8(r), []string{
		"readable", "writable", "read-closed", "write-closed", "priority", "error",
	})
}

// bitNames joins the names of the bits set, from bit 0 up, and the rest in hex.
func bitNames(bits uint8, names []string) string {
	if bits == 0 {
		return "none"
	}
	var set []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			set = append(set, name)
			bits &^= 1 << i
		}
	}
	if bits != 0 {
		set = append(set, fmt.Sprintf("%#x", bits))
	}
	return strings.Join(set, "|")
}
