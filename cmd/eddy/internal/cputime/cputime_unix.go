//go:build unix

package cputime

import (
	"syscall"
	"time"
)

// Process is the user and system time of this process so far, over all threads. getrusage(2).
func Process() (user, system time.Duration) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}
