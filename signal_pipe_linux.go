package eddy

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// signalPipe brings signals into the driver: what Go's runtime receives is
// announced by a byte in a pipe, whose other end the driver watches. A pipe
// that is full has announced enough.
type signalPipe struct{ read, write int }

func (p *signalPipe) open(h *driver.Handle) error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	p.read, p.write = fds[0], fds[1]
	if err := h.RegisterSignalReceiver(p.read); err != nil {
		return errors.Join(err, unix.Close(p.read), unix.Close(p.write))
	}
	return nil
}

func (p *signalPipe) announce() {
	// EAGAIN is a full pipe; EINTR cannot happen to a call that does not block.
	_, _ = unix.Write(p.write, []byte{0})
}

// drain empties the pipe, so that the next byte makes a new edge.
func (p *signalPipe) drain() {
	var bytes [64]byte
	for {
		if n, err := unix.Read(p.read, bytes[:]); n < len(bytes) && err != unix.EINTR {
			return
		}
	}
}

func (p *signalPipe) close(h *driver.Handle) {
	_ = h.DeregisterSignalReceiver(p.read)
	unix.Close(p.read)
	unix.Close(p.write)
}
