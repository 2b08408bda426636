//go:build !unix

package filebench

import "time"

// processCPU is not known here.
func processCPU() time.Duration { return 0 }
