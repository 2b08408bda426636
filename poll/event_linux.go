package poll

import (
	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// rawEvent is what the kernel fills in.
type rawEvent = sys.EpollEvent

func tokenOf(e *rawEvent) Token { return Token(e.Data()) }

// readyOf follows the table at Ready.
func readyOf(e *rawEvent) Ready {
	var r Ready
	if e.Events&unix.EPOLLIN != 0 {
		r |= ReadyReadable
	}
	if e.Events&unix.EPOLLOUT != 0 {
		r |= ReadyWritable
	}
	if e.Events&unix.EPOLLPRI != 0 {
		r |= ReadyPriority
	}
	if e.Events&unix.EPOLLRDHUP != 0 {
		r |= ReadyReadClosed
	}
	if e.Events&unix.EPOLLHUP != 0 {
		r |= ReadyReadClosed | ReadyWriteClosed
	}
	if e.Events&unix.EPOLLERR != 0 {
		r |= ReadyError
	}
	return r
}

// epollBits is what to ask the kernel for; EPOLLHUP and EPOLLERR come unasked.
func epollBits(i Interest) uint32 {
	bits := uint32(unix.EPOLLET | unix.EPOLLRDHUP)
	if i.IsReadable() {
		bits |= unix.EPOLLIN
	}
	if i.IsWritable() {
		bits |= unix.EPOLLOUT
	}
	if i.IsPriority() {
		bits |= unix.EPOLLPRI
	}
	return bits
}
