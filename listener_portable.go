package eddy

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// portableListener is a listener of std's.
type portableListener struct {
	net.Listener
	network string
	system  *portableSystem
	down    atomic.Bool // shutdown was called
	read    interruption
}

func (l *portableListener) accept(ctx context.Context) (transport, error) {
	n, err := l.next(ctx)
	if err != nil {
		return nil, l.named(endedBy(l.down.Load(), err))
	}
	return l.system.newConn(n, l.network), nil
}

// next accepts one in its turn, and ends with the context.
func (l *portableListener) next(ctx context.Context) (n net.Conn, err error) {
	if ctx.Done() == nil {
		l.read.enter()
		defer l.read.leave()
		return l.Listener.Accept()
	}
	_, err = l.read.until(ctx, l.setDeadline, func() (int, error) {
		n, err = l.Listener.Accept()
		return 0, err
	})
	return n, err
}

// named wraps a context's error as std wraps the others.
func (l *portableListener) named(err error) error {
	if _, ok := err.(*net.OpError); ok {
		return err
	}
	return &net.OpError{Op: "accept", Net: l.network, Addr: l.LocalAddr(), Err: err}
}

func (l *portableListener) Close() error {
	l.system.sockets.remove(l)
	return l.Listener.Close()
}

// shutdown implements portableSocket.
func (l *portableListener) shutdown() {
	l.down.Store(true)
	l.read.shutdown(l.setDeadline)
}

func (l *portableListener) LocalAddr() net.Addr { return l.Listener.Addr() }

func (l *portableListener) SetDeadline(t time.Time) error { return l.read.set(t, l.setDeadline) }

func (l *portableListener) setDeadline(t time.Time) error {
	if s, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		return s.SetDeadline(t)
	}
	return lacks("SetDeadline", l.Listener)
}

func (l *portableListener) file() (*os.File, error) {
	if s, ok := l.Listener.(interface{ File() (*os.File, error) }); ok {
		return s.File()
	}
	return nil, lacks("File", l.Listener)
}

func (l *portableListener) setUnlinkOnClose(on bool) {
	if u, ok := l.Listener.(interface{ SetUnlinkOnClose(bool) }); ok { // not on Plan 9
		u.SetUnlinkOnClose(on)
	}
}

func (l *portableListener) SyscallConn() (syscall.RawConn, error) {
	if s, ok := l.Listener.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, lacks("SyscallConn", l.Listener)
}

func (p *portableSystem) adoptListener(n net.Listener, network string, _ net.KeepAliveConfig) (acceptor, error) {
	if err := adoptable(n); err != nil {
		return nil, err
	}
	if _, ok := n.(interface{ SetDeadline(time.Time) error }); !ok { // nor could Shutdown end its Accept
		return nil, lacks("SetDeadline", n)
	}
	l := &portableListener{Listener: n, network: network, system: p}
	l.read.turn = make(chan struct{}, 1)
	p.sockets.add(l)
	return l, nil
}
