//go:build linux && !explore

package driver

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

// More of the places that seam.go is about.
type (
	atomicBool           = atomic.Bool
	atomicUint32         = atomic.Uint32
	atomicPointer[T any] = atomic.Pointer[T]
)

// reach marks a place between two steps that others can come in between.
func reach(string) {}

// forget marks a place at which nothing matters any more that the goroutine has
// looked at before, but for a list of requests it may have.
func forget(string, *Op) {}

// block comes before an operation that blocks until the condition holds.
func block(string, func() bool) {}

// receive receives from a channel, until the other one is closed.
func receive(c, quit <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-quit:
		return false
	}
}

// paused reports whether an explorer has seen to a wait that is one of time.
func paused(string) bool { return false }

// eventAdd adds one to an eventfd.
func eventAdd(fd int) error { return sys.EventAdd(fd) }

// now is the driver's clock: monotonic, since the process began.
func now() time.Duration { return time.Since(epoch) }

// closeResult closes a descriptor that nobody claims. What close(2) says has no
// owner either: on Linux the number is free whatever it is.
func closeResult(fd int) { _ = unix.Close(fd) }
