//go:build unix

package eddy

import (
	"context"
	"errors"
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
// asked for, with poll(2), and not remembered.
type portableSource struct {
	d    *Driver
	fd   int
	file *os.File
	conn syscall.RawConn
	end  sync.Once
	gone chan struct{} // closed by Deregister
}

func newPortableSource(d *Driver, fd int, interest poll.Interest) (source, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return nil, poll.ErrNotPollable
	}
	if _, taken := d.watched.LoadOrStore(fd, true); taken {
		return nil, os.NewSyscallError("register", unix.EEXIST)
	}
	s, err := watch(d, fd)
	if err != nil {
		d.watched.Delete(fd)
		return nil, err
	}
	return s, nil
}

func watch(d *Driver, fd int) (*portableSource, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	// os.NewFile only gives non-blocking descriptors to the poller. The flag is
	// the open file's, which both descriptors share, so it is put back.
	if err := unix.SetNonblock(twin, true); err != nil {
		unix.Close(twin)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(twin), "registration")
	conn, err := file.SyscallConn()
	if err == nil && flags&unix.O_NONBLOCK == 0 {
		err = unix.SetNonblock(twin, false)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &portableSource{d: d, fd: fd, file: file, conn: conn, gone: make(chan struct{})}, nil
}

func (s *portableSource) state() error {
	select {
	case <-s.gone:
		return fs.ErrClosed
	default:
	}
	if s.d.down.Load() {
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
	{unix.POLLPRI, poll.Priority, poll.ReadyPriority},
	{unix.POLLHUP, 0, poll.ReadyReadClosed | poll.ReadyWriteClosed},
	{unix.POLLERR, 0, poll.ReadyError},
}

// Ready waits for both directions of the interest at once, if it has both.
func (s *portableSource) Ready(ctx context.Context, interest poll.Interest) (ReadyEvent, error) {
	read, write := interest&^poll.Writable, interest&poll.Writable
	switch {
	case write == 0:
		return s.wait(ctx, s.conn.Read, read)
	case read == 0:
		return s.wait(ctx, s.conn.Write, write)
	}
	type outcome struct {
		event ReadyEvent
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan outcome, 2)
	go func() {
		event, err := s.wait(ctx, s.conn.Read, read)
		done <- outcome{event, err}
	}()
	go func() {
		event, err := s.wait(ctx, s.conn.Write, write)
		done <- outcome{event, err}
	}()
	first := <-done
	cancel()
	second := <-done
	if first.err == nil && second.err == nil {
		first.event.Ready |= second.event.Ready
	}
	return first.event, first.err
}

// wait parks in std's poller until the descriptor is ready.
func (s *portableSource) wait(ctx context.Context, park func(func(uintptr) bool) error, interest poll.Interest) (ReadyEvent, error) {
	left := make(chan struct{})
	defer close(left)
	defer s.nudgeAtEnd(ctx, left)()
	for {
		if err := s.state(); err != nil {
			return ReadyEvent{}, err
		}
		var r poll.Ready
		err := park(func(fd uintptr) bool {
			r = readyNow(int(fd), interest)
			return r != 0 || ctx.Err() != nil
		})
		switch {
		case r != 0:
			return ReadyEvent{Ready: r}, nil
		case ctx.Err() != nil:
			return ReadyEvent{}, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Somebody else's nudge.
			_ = s.file.SetDeadline(time.Time{})
		case err != nil && s.state() == nil:
			return ReadyEvent{}, err
		}
	}
}

// nudgeAtEnd gets a caller out of the poller when its context, or the driver,
// ends. The only way is a deadline, which is everybody's: who is woken by it
// without a reason takes it back and waits again, and may do so before the one
// it was meant for has come to wait. So it is repeated until that one has left.
func (s *portableSource) nudgeAtEnd(ctx context.Context, left <-chan struct{}) (stop func()) {
	nudge := func() {
		for !isClosed(left) {
			_ = s.file.SetDeadline(time.Unix(1, 0))
			time.Sleep(time.Millisecond)
		}
		_ = s.file.SetDeadline(time.Time{})
	}
	stopContext := context.AfterFunc(ctx, nudge)
	go func() {
		select {
		case <-s.d.ended:
			nudge()
		case <-left:
		}
	}()
	return func() { stopContext() }
}

func (s *portableSource) TryIO(interest poll.Interest, f func() error) error {
	if err := s.state(); err != nil {
		return err
	}
	ready := poll.Ready(0)
	if err := s.conn.Control(func(fd uintptr) { ready = readyNow(int(fd), interest) }); err != nil {
		return s.state()
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
		s.d.watched.Delete(s.fd)
		err = s.file.Close()
	})
	return err
}
