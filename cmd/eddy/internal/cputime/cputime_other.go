//go:build !unix

package cputime

import "time"

// Process is not known here.
func Process() (user, system time.Duration) { return 0, 0 }
