//go:build !linux

package eddy

import (
	"errors"
	"fmt"
	"runtime"
)

// start takes the one backend there is outside Linux.
func (d *Driver) start() error {
	switch d.cfg.Backend {
	case BackendURing, BackendEpoll:
		return fmt.Errorf("eddy: backend %v on %s: %w", d.cfg.Backend, runtime.GOOS, errors.ErrUnsupported)
	}
	d.startPortable()
	return nil
}
