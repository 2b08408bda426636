package uring

import (
	"fmt"
	"io/fs"
)

// ErrClosed is returned by every call on a closed ring. It wraps fs.ErrClosed.
var ErrClosed = fmt.Errorf("uring: the ring is closed: %w", fs.ErrClosed)

// A SetupError says why New did not make a ring.
type SetupError struct {
	Op      string     // what failed: "io_uring_setup", "mmap"
	Entries uint32     // as asked for
	Flags   SetupFlags // as tried last
	Reason  string     // which rule was broken, when New itself found it
	Err     error      // the errno, a syscall.Errno
}

// Error returns the call, its arguments and the reason.
func (e *SetupError) Error() string {
	text := fmt.Sprintf("uring: %s (entries %d, flags %s): %v", e.Op, e.Entries, e.Flags, e.Err)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap returns the errno.
func (e *SetupError) Unwrap() error { return e.Err }
