package eddy

import (
	"context"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// watchedTransport lets the garbage collector do what it can during each call,
// and counts how often it was closed by then.
type watchedTransport struct {
	datagrams
	closes chan struct{}
}

func newWatchedTransport() *watchedTransport {
	return &watchedTransport{closes: make(chan struct{}, 2)}
}

func (w *watchedTransport) during() {
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run on a goroutine of their own
	}
}

func (w *watchedTransport) Close() error {
	w.closes <- struct{}{}
	if len(w.closes) == 1 {
		w.during()
	}
	return nil
}

func (w *watchedTransport) SetDeadline(time.Time) error      { w.during(); return nil }
func (w *watchedTransport) SetReadDeadline(time.Time) error  { w.during(); return nil }
func (w *watchedTransport) SetWriteDeadline(time.Time) error { w.during(); return nil }
func (w *watchedTransport) LocalAddr() net.Addr              { w.during(); return nil }
func (w *watchedTransport) RemoteAddr() net.Addr             { w.during(); return nil }
func (w *watchedTransport) closeRead() error                 { w.during(); return nil }
func (w *watchedTransport) closeWrite() error                { w.during(); return nil }
func (w *watchedTransport) setLinger(int) error              { w.during(); return nil }
func (w *watchedTransport) setNoDelay(bool) error            { w.during(); return nil }
func (w *watchedTransport) setKeepAlive(bool) error          { w.during(); return nil }
func (w *watchedTransport) setReadBuffer(int) error          { w.during(); return nil }
func (w *watchedTransport) setWriteBuffer(int) error         { w.during(); return nil }
func (w *watchedTransport) file() (*os.File, error)          { w.during(); return nil, nil }
func (w *watchedTransport) setUnlinkOnClose(bool)            { w.during() }
func (w *watchedTransport) accept(context.Context) (transport, error) {
	w.during()
	return nil, syscall.EAGAIN
}
func (w *watchedTransport) SyscallConn() (syscall.RawConn, error) {
	w.during()
	return watchedRaw{w}, nil
}
func (w *watchedTransport) setKeepAlivePeriod(time.Duration) error {
	w.during()
	return nil
}
func (w *watchedTransport) setKeepAliveConfig(net.KeepAliveConfig) error {
	w.during()
	return nil
}

type watchedRaw struct{ w *watchedTransport }

func (r watchedRaw) Control(func(uintptr)) error    { r.w.during(); return nil }
func (r watchedRaw) Read(func(uintptr) bool) error  { r.w.during(); return nil }
func (r watchedRaw) Write(func(uintptr) bool) error { r.w.during(); return nil }

// Whoever makes his last call of a connection has let go of it, as the garbage
// collector sees it, as soon as the call has what it needs of it.
func TestGarbageCollectorClosesUnderTheLastCall(t *testing.T) {
	var none time.Time
	raw := func(c syscall.RawConn, err error) syscall.RawConn { return c }
	socket := func(w *watchedTransport) *Conn { return newConn(w) }
	packets := func(w *watchedTransport) *PacketConn { return newPacketConn(w) }
	view := func(w *watchedTransport) *PacketConn { return &PacketConn{t: w, owner: newConn(w)} }
	listener := func(w *watchedTransport) *Listener { return newListener(nil, w) }
	for name, call := range map[string]func(*watchedTransport){
		"Conn.SetDeadline":             func(w *watchedTransport) { _ = socket(w).SetDeadline(none) },
		"Conn.SetReadDeadline":         func(w *watchedTransport) { _ = socket(w).SetReadDeadline(none) },
		"Conn.SetWriteDeadline":        func(w *watchedTransport) { _ = socket(w).SetWriteDeadline(none) },
		"Conn.CloseRead":               func(w *watchedTransport) { _ = socket(w).CloseRead() },
		"Conn.CloseWrite":              func(w *watchedTransport) { _ = socket(w).CloseWrite() },
		"Conn.LocalAddr":               func(w *watchedTransport) { _ = socket(w).LocalAddr() },
		"Conn.RemoteAddr":              func(w *watchedTransport) { _ = socket(w).RemoteAddr() },
		"Conn.SetLinger":               func(w *watchedTransport) { _ = socket(w).SetLinger(0) },
		"Conn.SetNoDelay":              func(w *watchedTransport) { _ = socket(w).SetNoDelay(true) },
		"Conn.SetKeepAlive":            func(w *watchedTransport) { _ = socket(w).SetKeepAlive(true) },
		"Conn.SetKeepAlivePeriod":      func(w *watchedTransport) { _ = socket(w).SetKeepAlivePeriod(1) },
		"Conn.SetKeepAliveConfig":      func(w *watchedTransport) { _ = socket(w).SetKeepAliveConfig(net.KeepAliveConfig{}) },
		"Conn.SetReadBuffer":           func(w *watchedTransport) { _ = socket(w).SetReadBuffer(1) },
		"Conn.SetWriteBuffer":          func(w *watchedTransport) { _ = socket(w).SetWriteBuffer(1) },
		"Conn.File":                    func(w *watchedTransport) { _, _ = socket(w).File() },
		"Conn.SyscallConn":             func(w *watchedTransport) { _, _ = socket(w).SyscallConn() },
		"Conn.SyscallConn.Control":     func(w *watchedTransport) { _ = raw(socket(w).SyscallConn()).Control(nil) },
		"PacketConn.SetDeadline":       func(w *watchedTransport) { _ = packets(w).SetDeadline(none) },
		"PacketConn.SetReadDeadline":   func(w *watchedTransport) { _ = packets(w).SetReadDeadline(none) },
		"PacketConn.SetWriteDeadline":  func(w *watchedTransport) { _ = packets(w).SetWriteDeadline(none) },
		"PacketConn.LocalAddr":         func(w *watchedTransport) { _ = packets(w).LocalAddr() },
		"PacketConn.RemoteAddr":        func(w *watchedTransport) { _ = packets(w).RemoteAddr() },
		"PacketConn.SetReadBuffer":     func(w *watchedTransport) { _ = packets(w).SetReadBuffer(1) },
		"PacketConn.SetWriteBuffer":    func(w *watchedTransport) { _ = packets(w).SetWriteBuffer(1) },
		"PacketConn.File":              func(w *watchedTransport) { _, _ = packets(w).File() },
		"PacketConn.SyscallConn":       func(w *watchedTransport) { _, _ = packets(w).SyscallConn() },
		"PacketConn.SyscallConn.Read":  func(w *watchedTransport) { _ = raw(packets(w).SyscallConn()).Read(nil) },
		"view's SetReadDeadline":       func(w *watchedTransport) { _ = view(w).SetReadDeadline(none) },
		"view's SyscallConn.Write":     func(w *watchedTransport) { _ = raw(view(w).SyscallConn()).Write(nil) },
		"Listener.Accept":              func(w *watchedTransport) { _, _ = listener(w).Accept() },
		"Listener.Addr":                func(w *watchedTransport) { _ = listener(w).Addr() },
		"Listener.SetDeadline":         func(w *watchedTransport) { _ = listener(w).SetDeadline(none) },
		"Listener.SetUnlinkOnClose":    func(w *watchedTransport) { listener(w).SetUnlinkOnClose(true) },
		"Listener.File":                func(w *watchedTransport) { _, _ = listener(w).File() },
		"Listener.SyscallConn":         func(w *watchedTransport) { _, _ = listener(w).SyscallConn() },
		"Listener.SyscallConn.Control": func(w *watchedTransport) { _ = raw(listener(w).SyscallConn()).Control(nil) },
	} {
		w := newWatchedTransport()
		if call(w); len(w.closes) != 0 {
			t.Errorf("%s: it was closed meanwhile", name)
		}
	}
	for name, closed := range map[string]func(*watchedTransport) error{
		"Conn":       func(w *watchedTransport) error { return socket(w).Close() },
		"PacketConn": func(w *watchedTransport) error { return packets(w).Close() },
		"view":       func(w *watchedTransport) error { return view(w).Close() },
		"Listener":   func(w *watchedTransport) error { return listener(w).Close() },
	} {
		w := newWatchedTransport()
		if _ = closed(w); len(w.closes) != 1 {
			t.Errorf("%s.Close: it was closed twice, and so one of the two has failed", name)
		}
	}
}
