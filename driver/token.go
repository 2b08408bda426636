package driver

import "github.com/eddyio/eddy/poll"

// Tokens of the registry that are not a registration's. All others are keys of
// the registration slab, whose top eight bits are zero.
const (
	// TokenWakeup is the waker's and that of every ring: what it announces is
	// found out by looking.
	TokenWakeup poll.Token = 1 << 63

	// TokenSignal is the signal receiver's.
	TokenSignal poll.Token = 1<<63 | 1
)
