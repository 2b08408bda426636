package echobench

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// dialPatience is how long a blocking call of the load generator may take before the server counts as hanging.
const dialPatience = 30 * time.Second

// dial makes a blocking connection. When it is closed it is reset, so that thousands of them do not stay behind in
// TIME_WAIT for the next measurement.
func dial(network, address string) (fd int, err error) {
	family, kind, target := unix.AF_UNIX, unix.SOCK_STREAM, unix.Sockaddr(&unix.SockaddrUnix{Name: address})
	if network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	if network != "unix" {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return -1, err
		}
		family, target = unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := prepare(fd, network, target); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func prepare(fd int, network string, target unix.Sockaddr) error {
	patience := unix.NsecToTimeval(int64(dialPatience))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &patience); err != nil {
			return fmt.Errorf("setsockopt: %w", err)
		}
	}
	for {
		err := unix.Connect(fd, target)
		if err == unix.EINTR {
			continue // a blocking connect that was interrupted may be asked again: connect(2), EALREADY excepted
		}
		if err != nil && err != unix.EISCONN {
			return fmt.Errorf("connect: %w", err)
		}
		break
	}
	if network != "tcp" {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	return nil
}

func sendAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		p = p[n:]
	}
	return nil
}

func receiveAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Read(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("read: the server hung up")
		}
		p = p[n:]
	}
	return nil
}
