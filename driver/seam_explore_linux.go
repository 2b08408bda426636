//go:build linux && explore

package driver

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

// explorer decides, at every place of seam.go and seam_linux.go, which goroutine goes on.
type explorer interface {
	step(where string)                     // an atomic operation comes next
	reach(where string)                    // a step of some size ends here
	block(where string, until func() bool) // goes on once the condition holds
	pause(where string)                    // goes on once there is something new
	observed(what any)
	observedAll()        // it has seen all there is to see
	forget(where string) // the goroutine has no locals that matter
	eventAdd(fd int)
	closeResult(fd int)
	now() time.Duration
	choose(options int) int // of what may happen
}

// exploring is the explorer at work; nil outside of an exploration. All
// goroutines of an exploration take turns, so that nobody else looks at it.
var exploring explorer

type atomicBool struct{ v atomic.Bool }

func (a *atomicBool) Load() bool {
	step("load")
	return observed(a.v.Load())
}

func (a *atomicBool) Store(v bool) {
	if a.v.Load() != v { // else nobody can tell
		step("store")
	}
	a.v.Store(v)
}

func (a *atomicBool) CompareAndSwap(old, new bool) bool {
	step("compare-and-swap")
	return observed(a.v.CompareAndSwap(old, new))
}

type atomicUint32 struct{ v atomic.Uint32 }

func (a *atomicUint32) Load() uint32 {
	step("load")
	return observed(a.v.Load())
}

func (a *atomicUint32) Store(v uint32) {
	if a.v.Load() != v {
		step("store")
	}
	a.v.Store(v)
}

func (a *atomicUint32) CompareAndSwap(old, new uint32) bool {
	step("compare-and-swap")
	return observed(a.v.CompareAndSwap(old, new))
}

type atomicUint64 struct{ v atomic.Uint64 }

func (a *atomicUint64) Load() uint64 {
	step("load")
	return observed(a.v.Load())
}

func (a *atomicUint64) CompareAndSwap(old, new uint64) bool {
	step("compare-and-swap")
	return observed(a.v.CompareAndSwap(old, new))
}

func (a *atomicUint64) Or(mask uint64) uint64 {
	step("or")
	return observed(a.v.Or(mask))
}

func (a *atomicUint64) And(mask uint64) uint64 {
	step("and")
	return observed(a.v.And(mask))
}

type atomicPointer[T any] struct{ v atomic.Pointer[T] }

func (a *atomicPointer[T]) Load() *T {
	step("load")
	return observed(a.v.Load())
}

func (a *atomicPointer[T]) Store(v *T) {
	step("store")
	a.v.Store(v)
}

func (a *atomicPointer[T]) Swap(v *T) *T {
	step("swap")
	if exploring != nil {
		exploring.observedAll() // what hangs on it is looked at, too
	}
	return a.v.Swap(v)
}

func (a *atomicPointer[T]) CompareAndSwap(old, new *T) bool {
	step("compare-and-swap")
	return observed(a.v.CompareAndSwap(old, new))
}

// observed tells the explorer what a goroutine has seen.
func observed[T any](v T) T {
	if exploring != nil {
		exploring.observed(v)
	}
	return v
}

// mutex is a sync.Mutex that an explorer can see through.
type mutex struct {
	real sync.Mutex
	held bool // while exploring
}

func (m *mutex) Lock() {
	if exploring == nil {
		m.real.Lock()
		return
	}
	step("lock")
	if m.held {
		exploring.block("lock", func() bool { return !m.held })
	}
	exploring.observedAll()
	m.held = true
}

func (m *mutex) Unlock() {
	if exploring == nil {
		m.real.Unlock()
		return
	}
	m.held = false
}

func step(where string) {
	if exploring != nil {
		exploring.step(where)
	}
}

func reach(where string) {
	if exploring != nil {
		exploring.reach(where)
	}
}

func forget(where string, list *Op) {
	if exploring == nil {
		return
	}
	exploring.forget(where)
	for o := list; o != nil; o = o.next {
		exploring.observed(o)
	}
}

func block(where string, until func() bool) {
	if exploring != nil {
		exploring.block(where, until)
	}
}

func sending[T any](c chan T) {
	block("wakes", func() bool { return len(c) < cap(c) })
}

func receiving[T any](c chan T) {
	block("sleeps", func() bool { return len(c) > 0 })
}

func receive(c, quit <-chan struct{}) bool {
	if exploring != nil {
		exploring.block("receives", func() bool { return len(c) > 0 || isClosed(quit) })
		if isClosed(quit) && (len(c) == 0 || exploring.choose(2) == 0) {
			return false
		}
		<-c
		return true
	}
	select {
	case <-c:
		return true
	case <-quit:
		return false
	}
}

func paused(where string) bool {
	if exploring != nil {
		exploring.pause(where)
	}
	return exploring != nil
}

func eventAdd(fd int) error {
	if exploring == nil {
		return sys.EventAdd(fd)
	}
	exploring.step("eventfd")
	exploring.eventAdd(fd)
	return nil
}

func closeResult(fd int) {
	if exploring == nil {
		_ = unix.Close(fd)
		return
	}
	exploring.closeResult(fd)
}

func now() time.Duration {
	if exploring != nil {
		return exploring.now()
	}
	return time.Since(epoch)
}
