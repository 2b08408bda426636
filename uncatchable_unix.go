//go:build unix

package eddy

import (
	"os"
	"syscall"
)

// uncatchable signals are those of signal(7) that no process ever sees.
func uncatchable(s os.Signal) bool { return s == syscall.SIGKILL || s == syscall.SIGSTOP }
