package poll

import (
	"fmt"
	"syscall"
)

var (
	// ErrNotPollable is for descriptors that are always ready, as regular files
	// and directories are, and so cannot be watched. It wraps EPERM, which is
	// what epoll_ctl(2) calls it.
	ErrNotPollable = fmt.Errorf("descriptor cannot be polled: %w", syscall.EPERM)

	// ErrInvalidInterest is for an [Interest] that is empty or has unknown bits.
	// It wraps EINVAL.
	ErrInvalidInterest = fmt.Errorf("interest is empty or unknown: %w", syscall.EINVAL)
)
