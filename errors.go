package eddy

import (
	"github.com/eddyio/eddy/driver"
)

// ErrShutdown is what a driver and everything made from it answers after
// Shutdown or Close.
var ErrShutdown = driver.ErrShutdown

// ShutdownError names what a shutdown had to leave with the kernel. The memory
// of those requests is kept for the rest of the process's life.
type ShutdownError = driver.ShutdownError
