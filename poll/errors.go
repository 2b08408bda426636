package poll

import (
	"fmt"
	"syscall"
)

var (
	// ErrNotPollable is the error for descriptors that cannot be watched because they
	// are always ready, such as regular files and directories. It wraps EPERM, the
	// errno of epoll_ctl(2).
	ErrNotPollable = fmt.Errorf("descriptor cannot be polled: %w", syscall.EPERM)

	// ErrInvalidInterest is the error for an [Interest] that is empty or has unknown
	// bits. It wraps EINVAL.
	ErrInvalidInterest = fmt.Errorf("interest is empty or unknown: %w", syscall.EINVAL)
)
