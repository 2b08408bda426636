package eddy

import (
	"github.com/eddyio/eddy/driver"
)

// ErrShutdown is the error of every operation on a driver, and on everything
// made from it, after [Driver.Shutdown] or [Driver.Close].
var ErrShutdown = driver.ErrShutdown

// ShutdownError lists the requests that a shutdown had to leave with the
// kernel. Their memory is kept until the process exits.
type ShutdownError = driver.ShutdownError
