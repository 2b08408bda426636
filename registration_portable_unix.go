//go:build unix

package eddy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/poll"
)

// portableSource watches a duplicate of the descriptor with std's poller. That
// poller wakes a reader or a writer and then forgets about it, so readiness is
// asked for, with poll(2), and not remembered. It lets one reader and one writer
// in at a time, and they cannot leave before they are woken; so nobody but a
// goroutine per direction goes there, and the others wait for that one.
type portableSource struct {
	system *portableSystem
	fd     int
	file   *os.File
	conn   syscall.RawConn
	read   side
	write  side
	end    sync.Once
	gone   chan struct{} // closed by Deregister
}

// side is a direction.
type side struct {
	mu    sync.Mutex
	ready chan struct{} // closed when it is worth looking again; nil: nobody waits in the poller
}

func newPortableSource(p *portableSystem, fd int, interest poll.Interest) (source, error) {
	if interest.IsPriority() {
		return nil, fmt.Errorf("std's poller knows no priority: %w", errors.ErrUnsupported)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return nil, poll.ErrNotPollable
	}
	s := &portableSource{system: p, fd: fd, gone: make(chan struct{})}
	if err := s.watch(); err != nil {
		return nil, err
	}
	if err := p.watched.add(s); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

// watch puts a duplicate of the descriptor in std's poller.
func (s *portableSource) watch() error {
	flags, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	twin, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	// os.NewFile only gives non-blocking descriptors to the poller. The flag is
	// the open file's, which both descriptors share, so it is put back.
	if err := unix.SetNonblock(twin, true); err != nil {
		unix.Close(twin)
		return os.NewSyscallError("fcntl", err)
	}
	s.file = os.NewFile(uintptr(twin), "registration")
	if flags&unix.O_NONBLOCK == 0 {
		err = unix.SetNonblock(twin, false)
	}
	if errors.Is(s.file.SetDeadline(time.Time{}), os.ErrNoDeadline) {
		err = poll.ErrNotPollable // the poller has refused it
	}
	if err == nil {
		s.conn, err = s.file.SyscallConn()
	}
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	return nil
}

func (s *portableSource) state() error {
	select {
	case <-s.gone:
		return fs.ErrClosed
	default:
	}
	if s.system.d.down.Load() {
		return ErrShutdown
	}
	return nil
}

// readyNow asks the kernel what the descriptor is ready for.
func readyNow(fd int, interest poll.Interest) poll.Ready {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for _, b := range pollBits {
		if interest&b.interest != 0 {
			fds[0].Events |= b.event
		}
	}
	for {
		_, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			break
		}
	}
	var r poll.Ready
	for _, b := range pollBits {
		if fds[0].Revents&b.event != 0 {
			r |= b.ready
		}
	}
	return r & poll.ReadyFor(interest)
}

var pollBits = []struct {
	event    int16
	interest poll.Interest
	ready    poll.Ready
}{
	{unix.POLLIN, poll.Readable, poll.ReadyReadable},
	{unix.POLLOUT, poll.Writable, poll.ReadyWritable},
	{unix.POLLHUP, 0, poll.ReadyReadClosed | poll.ReadyWriteClosed},
	{unix.POLLERR, 0, poll.ReadyError},
}

// now asks the kernel, unless the watch has ended.
func (s *portableSource) now(interest poll.Interest) (r poll.Ready, err error) {
	if err := s.state(); err != nil {
		return 0, err
	}
	err = s.conn.Control(func(fd uintptr) { r = readyNow(int(fd), interest) })
	if err != nil {
		return 0, s.state() // it has ended between the two
	}
	return r, nil
}

func (s *portableSource) Ready(ctx context.Context, interest poll.Interest) (ReadyEvent, error) {
	for {
		r, err := s.now(interest)
		if r != 0 || err != nil {
			return ReadyEvent{Ready: r}, err
		}
		var read, write <-chan struct{}
		if interest.IsReadable() {
			read = s.read.wait(s.conn.Read, poll.Readable)
		}
		if interest.IsWritable() {
			write = s.write.wait(s.conn.Write, poll.Writable)
		}
		select {
		case <-read:
		case <-write:
		case <-s.gone:
		case <-s.system.d.ended:
		case <-ctx.Done():
			return ReadyEvent{}, ctx.Err()
		}
	}
}

// wait is a channel that is closed when it is worth looking again. If nobody
// waits in the poller a goroutine goes there; it stays until the descriptor is
// ready or the watch ends, whoever leaves in the meantime.
func (s *side) wait(park func(func(uintptr) bool) error, interest poll.Interest) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready == nil {
		s.ready = make(chan struct{})
		go func() {
			// The error is that the watch has ended, which is seen by looking.
			_ = park(func(fd uintptr) bool { return readyNow(int(fd), interest) != 0 })
			s.mu.Lock()
			close(s.ready)
			s.ready = nil
			s.mu.Unlock()
		}()
	}
	return s.ready
}

func (s *portableSource) TryIO(interest poll.Interest, f func() error) error {
	ready, err := s.now(interest)
	if err != nil {
		return err
	}
	if ready == 0 {
		return unix.EAGAIN
	}
	return f()
}

func (s *portableSource) ClearReady(ReadyEvent) {}

func (s *portableSource) Deregister() error {
	err := error(fs.ErrClosed)
	s.end.Do(func() {
		close(s.gone)
		s.system.watched.remove(s)
		err = s.unwatch()
	})
	return err
}

// unwatch wakes whoever is in the poller. It may be called again.
func (s *portableSource) unwatch() error {
	if err := s.file.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// watched is a driver's portable sources, by descriptor.
type watched struct {
	mu     sync.Mutex
	all    map[int]*portableSource
	closed bool
}

// add refuses a descriptor that is watched already.
func (w *watched) add(s *portableSource) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return ErrShutdown
	case w.all[s.fd] != nil:
		return os.NewSyscallError("register", unix.EEXIST)
	case w.all == nil:
		w.all = map[int]*portableSource{}
	}
	w.all[s.fd] = s
	return nil
}

func (w *watched) remove(s *portableSource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[s.fd] == s {
		delete(w.all, s.fd)
	}
}

// shutdown ends all watches. The driver says that it is shut down by then.
func (w *watched) shutdown() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, s := range w.all {
		_ = s.unwatch() // what close(2) says of a duplicate is of no interest
	}
	w.all = nil
}
