package eddy

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/sys"
)

// listening is a listening socket in a loop's registry. Its readiness stays until
// accept4(2) says EAGAIN, so that one event lets in everybody who waits.
type listening struct {
	*socket // its kind is that of what it accepts
	loops   *loops

	// setEach is whether the options, keepAlive among them, are set on each
	// connection, as std does, instead of being inherited.
	setEach   bool
	keepAlive net.KeepAliveConfig

	once   sync.Once
	mu     sync.Mutex
	unlink string // the name to remove on Close; guarded by mu
}

// accept implements acceptor.
func (l *listening) accept(ctx context.Context) (transport, error) {
	var peer sys.Name
	fd, err := l.inTurn(ctx, driver.Reading, func() (int, error) { return l.next(&peer) })
	if err != nil {
		return nil, l.failSet("accept", err)
	}
	return l.admit(fd, &peer)
}

// next accepts one. A connection that was aborted while it waited is nobody's
// error. The caller holds reads.
func (l *listening) next(peer *sys.Name) (fd int, err error) {
	err = l.attempt(driver.Reading, func() error {
		var errno syscall.Errno
		fd, errno = sys.Accept(l.fd, peer)
		if errno == unix.ECONNABORTED {
			errno = unix.EINTR // which means: again
		}
		return errnoError(errno)
	})
	return fd, wrapErrno("accept4", err)
}

// admit puts a new connection in one of the loops. The options std sets were
// inherited from the listening socket.
func (l *listening) admit(fd int, peer *sys.Name) (transport, error) {
	loop, err := l.loops.pick()
	if err != nil {
		_ = unix.Close(fd)
		return nil, l.failSet("accept", err)
	}
	kind := l.kind
	if kind&shortIsAll == 0 && isPlainTCP(fd, l.network) {
		kind |= shortIsAll // of MPTCP sockets, most become TCP
	}
	var local sys.Name
	if errno := sys.LocalName(fd, &local); errno != 0 {
		_ = unix.Close(fd)
		return nil, l.failSet("accept", os.NewSyscallError("getsockname", errno))
	}
	s, err := loop.open(fd, kind, l.network, addressOf(l.network, &local), addressOf(l.network, peer))
	if err != nil {
		return nil, l.failSet("accept", err)
	}
	if l.setEach {
		// As std: a connection is a connection without them, too.
		_ = s.setNoDelay(true)
		_ = s.applyKeepAlive(l.keepAlive)
	}
	return s, nil
}

// Close implements acceptor.
func (l *listening) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.unlink != "" {
			_ = unix.Unlink(l.unlink) // as std: it may be gone already
		}
	})
	if !l.socket.closed() {
		return l.socket.Close()
	}
	return l.failSet("close", net.ErrClosed)
}

func (l *listening) file() (*os.File, error) {
	f, err := l.duplicate()
	return f, l.failSet("file", err)
}

func (l *listening) setUnlinkOnClose(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlink = ""
	if address, ok := l.local.(*net.UnixAddr); ok && on && !strings.HasPrefix(address.Name, "@") {
		l.unlink = address.Name
	}
}

// SetDeadline implements acceptor.
func (l *listening) SetDeadline(t time.Time) error {
	if l.SetReadDeadline(t) != nil {
		return net.ErrClosed // as std, without an OpError
	}
	return nil
}

// SyscallConn implements acceptor.
func (l *listening) SyscallConn() (syscall.RawConn, error) {
	return rawListening{rawSocket{l.socket}}, nil
}

// rawListening is a listening socket as syscall.RawConn. There is nothing to read
// or write.
type rawListening struct{ rawSocket }

// Read implements syscall.RawConn.
func (rawListening) Read(func(fd uintptr) bool) error { return syscall.EINVAL }

// Write implements syscall.RawConn.
func (rawListening) Write(func(fd uintptr) bool) error { return syscall.EINVAL }
