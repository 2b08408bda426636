package eddy

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// endableListener is a listener whose Accept a deadline can end.
type endableListener interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// portableListener is a listener of std's.
type portableListener struct {
	endableListener
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
		return l.Accept()
	}
	_, err = l.read.until(ctx, l.endableListener.SetDeadline, func() (int, error) {
		n, err = l.Accept()
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
	return l.endableListener.Close()
}

// shutdown implements portableSocket.
func (l *portableListener) shutdown() {
	l.down.Store(true)
	l.read.shutdown(l.endableListener.SetDeadline)
}

func (l *portableListener) LocalAddr() net.Addr { return l.Addr() }

func (l *portableListener) SetDeadline(t time.Time) error {
	return l.read.set(t, l.endableListener.SetDeadline)
}

func (l *portableListener) file() (*os.File, error) {
	if s, ok := l.endableListener.(interface{ File() (*os.File, error) }); ok {
		return s.File()
	}
	return nil, lacks("File", l.endableListener)
}

func (l *portableListener) setUnlinkOnClose(on bool) {
	if u, ok := l.endableListener.(interface{ SetUnlinkOnClose(bool) }); ok { // not on Plan 9
		u.SetUnlinkOnClose(on)
	}
}

func (l *portableListener) SyscallConn() (syscall.RawConn, error) {
	if s, ok := l.endableListener.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, lacks("SyscallConn", l.endableListener)
}

func (p *portableSystem) adoptListener(n net.Listener, network string, _ net.KeepAliveConfig) (acceptor, error) {
	if err := adoptable(n); err != nil {
		return nil, err
	}
	endable, ok := n.(endableListener)
	if !ok { // nor could Shutdown end its Accept
		return nil, lacks("SetDeadline", n)
	}
	l := &portableListener{endableListener: endable, network: network, system: p}
	l.read.turn = make(chan struct{}, 1)
	p.sockets.add(l)
	return l, nil
}
