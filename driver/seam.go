//go:build !linux || !explore

package driver

import (
	"sync"
	"sync/atomic"
)

// The places at which one goroutine of this package can see what another does.
// They go by names of the package's own, so that a build with the tag explore
// can stop at each of them and try out who goes on. Without the tag, here, they
// are the plain thing: aliases, and functions that the compiler inlines to
// nothing or to the one call they make.
type (
	atomicUint64 = atomic.Uint64
	mutex        = sync.Mutex
)

// sending comes before a send to a channel that has room.
func sending[T any](chan T) {}

// receiving comes before a receive that may block.
func receiving[T any](chan T) {}
