package driver

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrShutdown is what a driver answers once Shutdown or Drain was called.
	ErrShutdown = errors.New("eddy: driver is shut down")

	// ErrNoRing is what a request gets where io_uring is not to be had.
	// Handle.Fallbacks has the reason.
	ErrNoRing = fmt.Errorf("eddy: io_uring is not in use: %w", errors.ErrUnsupported)

	// ErrLost is what a request gets whose completion the kernel says it lost
	// (EBADR, io_uring_enter(2)), or does not let the driver ask for any more, since
	// a sandbox has come (seccomp(2)) and a second has passed. Its memory stays with
	// the kernel for good.
	ErrLost = errors.New("eddy: the kernel lost the completion of this request")
)

// Stuck names a request that the kernel had not given back when a shutdown's
// time was up.
type Stuck struct {
	Op   string // the operation, in the kernel's word: "read", "openat"
	Name string // what it was for, usually a file's name
}

// ShutdownError reports what a shutdown had to leave behind: requests that the
// kernel still owns. Their memory and their ring are kept for the rest of the
// process's life, so that nothing the kernel writes late can land in memory
// that has another owner by then.
type ShutdownError struct {
	Stuck []Stuck
	Cause error // why waiting ended, usually the context's error
}

// Error names the first few requests.
func (e *ShutdownError) Error() string {
	const shown = 4
	var b strings.Builder
	fmt.Fprintf(&b, "eddy: shutdown left %d request(s) with the kernel:", len(e.Stuck))
	for i, s := range e.Stuck {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(e.Stuck)-shown)
			break
		}
		fmt.Fprintf(&b, " %s %q", s.Op, s.Name)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap returns the reason that waiting ended.
func (e *ShutdownError) Unwrap() error { return e.Cause }
