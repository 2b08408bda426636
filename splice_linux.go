package eddy

import (
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// splicePipe is the pipe between two sockets, through which pages go without
// being copied.
type splicePipe struct {
	read, write int
	size        int
	full        int // bytes inside
}

// maxSplice is the size a pipe is asked to have, and the most it is asked to
// take at once; the kernel may give less, pipe(7).
const maxSplice = 1 << 20

// splicePipes keeps empty pipes for the next call. The garbage collector, which
// empties it, closes the descriptors.
var splicePipes sync.Pool

func getSplicePipe() (*splicePipe, error) {
	if p, ok := splicePipes.Get().(*splicePipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	p := &splicePipe{read: fds[0], write: fds[1], size: 64 << 10}
	runtime.SetFinalizer(p, (*splicePipe).close)
	if size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, maxSplice); err == nil {
		p.size = size
	}
	return p, nil
}

// close closes both ends. A pipe with something in it cannot be kept.
func (p *splicePipe) close() {
	runtime.SetFinalizer(p, nil)
	_ = unix.Close(p.read)
	_ = unix.Close(p.write)
}

// spliceFrom writes what another socket receives, up to limit bytes, until its
// end. It reports false if it has done nothing and another way is needed.
func (s *socket) spliceFrom(r io.Reader, limit int64) (sent int64, handled bool, err error) {
	from := socketOf(r)
	if from == nil || from == s || from.kind&isStream == 0 || s.kind&isStream == 0 {
		return 0, false, nil
	}
	pipe, err := getSplicePipe()
	if err != nil {
		return 0, false, nil
	}
	for sent < limit {
		got, err := from.fill(pipe, limit-sent)
		if err == unix.EINVAL && sent == 0 {
			pipe.close()
			return 0, false, nil
		}
		if err != nil {
			pipe.close()
			return sent, true, wrapErrno("splice", err)
		}
		if got == 0 {
			break
		}
		n, err := s.drain(pipe)
		sent += n
		if err != nil {
			pipe.close()
			return sent, true, wrapErrno("splice", err)
		}
	}
	splicePipes.Put(pipe)
	return sent, true, nil
}

// socketOf is the socket behind a reader, or nil.
func socketOf(r io.Reader) *socket {
	switch r := r.(type) {
	case *socket:
		return r
	case *Conn:
		if r.ok() {
			s, _ := r.t.(*socket)
			return s
		}
	}
	return nil
}

const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// fill moves what has arrived into the empty pipe; 0 is the end.
func (s *socket) fill(p *splicePipe, limit int64) (int, error) {
	s.reads.Lock()
	defer s.reads.Unlock()
	var n int64
	err := s.attempt(driver.Reading, func() (err error) {
		moved, err := unix.Splice(s.fd, nil, p.write, nil, int(min(limit, int64(p.size))), spliceFlags)
		n = int64(moved) // an int on 32-bit systems
		return err
	})
	p.full = int(n)
	return int(n), err
}

// drain moves all that is in the pipe out.
func (s *socket) drain(p *splicePipe) (sent int64, err error) {
	s.writes.Lock()
	defer s.writes.Unlock()
	for p.full > 0 {
		var n int64
		err := s.attempt(driver.Writing, func() (err error) {
			moved, err := unix.Splice(p.read, nil, s.fd, nil, p.full, spliceFlags)
			n = int64(moved) // an int on 32-bit systems
			return err
		})
		if err != nil {
			return sent, err
		}
		p.full -= int(n)
		sent += n
	}
	return sent, nil
}
