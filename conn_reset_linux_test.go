package eddy_test

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() {
	// It leaves the reset to be found.
	awaitReset = func(c net.Conn) error {
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			return err
		}
		var n int
		controlErr := raw.Control(func(fd uintptr) {
			// POLLERR comes without being asked for, poll(2).
			for err = unix.EINTR; err == unix.EINTR; {
				n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, int(patience.Milliseconds()))
			}
		})
		if err == nil && n != 1 {
			err = errors.New("no reset has arrived")
		}
		return errors.Join(controlErr, err)
	}
}
