//go:build !unix || solaris || illumos || aix

package eddy

import (
	"errors"
	"fmt"
)

func reusePort(uintptr) error { return fmt.Errorf("SO_REUSEPORT: %w", errors.ErrUnsupported) }
