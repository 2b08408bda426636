//go:build unix && !solaris && !illumos && !aix

package eddy

import (
	"os"

	"golang.org/x/sys/unix"
)

func reusePort(fd uintptr) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}
