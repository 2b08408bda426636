//go:build unix

package eddy

import (
	"os"
	"syscall"
)

// everySignal is all that can be received. A number that the system or Go's
// runtime has no use for is one that never comes.
func everySignal() []os.Signal {
	var all []os.Signal
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if !uncatchable(sig) {
			all = append(all, sig)
		}
	}
	return all
}

// uncatchable signals are those of signal(7) that no process ever sees.
func uncatchable(s os.Signal) bool { return s == syscall.SIGKILL || s == syscall.SIGSTOP }
