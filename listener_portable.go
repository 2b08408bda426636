package eddy

import (
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
}

func (l *portableListener) accept() (transport, error) {
	n, err := l.Listener.Accept()
	if err != nil {
		return nil, endedBy(l.down.Load(), err)
	}
	return l.system.newConn(n, l.network), nil
}

func (l *portableListener) Close() error {
	l.system.sockets.remove(l)
	return l.Listener.Close()
}

// shutdown implements portableSocket.
func (l *portableListener) shutdown() {
	l.down.Store(true)
	_ = l.setDeadline(longAgo)
}

func (l *portableListener) LocalAddr() net.Addr { return l.Listener.Addr() }

func (l *portableListener) SetDeadline(t time.Time) error {
	if l.down.Load() {
		return nil
	}
	err := l.setDeadline(t)
	if l.down.Load() {
		_ = l.setDeadline(longAgo) // shutdown came in between
	}
	return err
}

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
	l := &portableListener{Listener: n, network: network, system: p}
	p.sockets.add(l)
	return l, nil
}
