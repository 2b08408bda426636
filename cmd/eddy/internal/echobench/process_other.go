//go:build !unix

package echobench

import "time"

func processCPU() (user, system time.Duration) { return 0, 0 }
