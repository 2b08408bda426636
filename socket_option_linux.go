package eddy

import (
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// set sets an option by f.
func (s *socket) set(f func(fd int) error) error {
	return s.use(func(fd int) error { return os.NewSyscallError("setsockopt", f(fd)) })
}

// option sets an option of a connection's.
func (s *socket) option(level, name, value int) error {
	return s.fail("set", s.set(func(fd int) error { return unix.SetsockoptInt(fd, level, name, value) }))
}

// bufferSize sets SO_RCVBUF or SO_SNDBUF. In its errors std tells only the local
// address.
func (s *socket) bufferSize(name, bytes int) error {
	return s.failSet("set", s.set(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, name, bytes) }))
}

func intOf(on bool) int {
	if on {
		return 1
	}
	return 0
}

func (s *socket) setNoDelay(on bool) error {
	return s.option(unix.IPPROTO_TCP, unix.TCP_NODELAY, intOf(on))
}

func (s *socket) setKeepAlive(on bool) error {
	return s.option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, intOf(on))
}

func (s *socket) setReadBuffer(bytes int) error {
	return s.bufferSize(unix.SO_RCVBUF, bytes)
}

func (s *socket) setWriteBuffer(bytes int) error {
	return s.bufferSize(unix.SO_SNDBUF, bytes)
}

func (s *socket) setLinger(seconds int) error {
	linger := unix.Linger{Onoff: int32(intOf(seconds >= 0)), Linger: int32(max(seconds, 0))}
	err := s.set(func(fd int) error { return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger) })
	return s.fail("set", err)
}

// What std sets for connections that nobody has asked for anything else.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

func (s *socket) setKeepAlivePeriod(d time.Duration) error {
	return s.setSeconds(unix.TCP_KEEPIDLE, d, keepAliveIdle)
}

func (s *socket) setKeepAliveConfig(c net.KeepAliveConfig) error {
	if err := s.setKeepAlive(c.Enable); err != nil {
		return err
	}
	if err := s.setSeconds(unix.TCP_KEEPIDLE, c.Idle, keepAliveIdle); err != nil {
		return err
	}
	if err := s.setSeconds(unix.TCP_KEEPINTVL, c.Interval, keepAliveInterval); err != nil {
		return err
	}
	switch {
	case c.Count == 0:
		return s.option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount)
	case c.Count > 0:
		return s.option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, c.Count)
	}
	return nil
}

// applyKeepAlive is what std does with a new connection.
func (s *socket) applyKeepAlive(c net.KeepAliveConfig) error {
	if !c.Enable {
		return nil
	}
	return s.setKeepAliveConfig(c)
}

// setSeconds sets a time, rounded up; zero means the default, and a negative one
// that it stays as it is.
func (s *socket) setSeconds(name int, d, standard time.Duration) error {
	if d < 0 {
		return nil
	}
	if d == 0 {
		d = standard
	}
	return s.option(unix.IPPROTO_TCP, name, int((d+time.Second-1)/time.Second))
}

func (s *socket) closeRead() error  { return s.shutdown(unix.SHUT_RD) }
func (s *socket) closeWrite() error { return s.shutdown(unix.SHUT_WR) }

func (s *socket) shutdown(how int) error {
	return s.fail("close", s.use(func(fd int) error { return os.NewSyscallError("shutdown", unix.Shutdown(fd, how)) }))
}

func (s *socket) multipathTCP() (on bool, err error) {
	// As std: a closed connection does not use it.
	_ = s.use(func(fd int) error {
		on = protocolOf(fd) == unix.IPPROTO_MPTCP && !fellBack(fd)
		return nil
	})
	return on, nil
}

// fellBack tells whether a socket of MPTCP has come down to plain TCP, which
// Linux 5.16 and later say by not having MPTCP_INFO (include/uapi/linux/mptcp.h).
func fellBack(fd int) bool {
	const solMPTCP, mptcpInfo = 284, 1
	_, err := unix.GetsockoptInt(fd, solMPTCP, mptcpInfo)
	return err == unix.EOPNOTSUPP || err == unix.ENOPROTOOPT
}

// protocolOf is SO_PROTOCOL, or 0.
func protocolOf(fd int) int {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return 0
	}
	return protocol
}

func (s *socket) file() (*os.File, error) {
	f, err := s.duplicate()
	return f, s.fail("file", err)
}

// duplicate is the socket as a file of its own.
func (s *socket) duplicate() (*os.File, error) {
	var twin int
	err := s.use(func(fd int) (err error) {
		twin, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(twin), s.name()), nil
}

// name is what std calls such a file.
func (s *socket) name() string {
	name := s.network + ":"
	if s.local != nil {
		name += s.local.String()
	}
	name += "->"
	if s.remote != nil {
		name += s.remote.String()
	}
	return name
}

// SyscallConn implements transport.
func (s *socket) SyscallConn() (syscall.RawConn, error) { return rawSocket{s}, nil }

// rawSocket is a socket as syscall.RawConn.
type rawSocket struct{ s *socket }

// Control implements syscall.RawConn.
func (r rawSocket) Control(f func(fd uintptr)) error {
	return r.s.failSet("raw-control", r.s.use(func(fd int) error {
		f(uintptr(fd))
		return nil
	}))
}

// Read implements syscall.RawConn.
func (r rawSocket) Read(f func(fd uintptr) bool) error {
	return r.s.fail("raw-read", r.try(driver.Reading, f))
}

// Write implements syscall.RawConn.
func (r rawSocket) Write(f func(fd uintptr) bool) error {
	return r.s.fail("raw-write", r.try(driver.Writing, f))
}

// try calls f until it is done, at least once, and waits for the side before
// each further call.
func (r rawSocket) try(side driver.Side, f func(fd uintptr) bool) error {
	mu := r.s.lockOf(side)
	mu.Lock()
	defer mu.Unlock() // f is the user's, and may panic
	return r.s.repeat(side, true, func() error {
		if f(uintptr(r.s.fd)) {
			return nil
		}
		return unix.EAGAIN
	})
}
