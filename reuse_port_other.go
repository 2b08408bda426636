//go:build !unix || solaris || illumos || aix

package eddy

import "fmt"

func reusePort(uintptr) error { return fmt.Errorf("SO_REUSEPORT: %w", errUnsupported) }
