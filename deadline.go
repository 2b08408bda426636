package eddy

import (
	"sync"
	"sync/atomic"
	"time"
)

// deadline is a moment that can be moved while somebody waits for it. Whoever
// waits does so for a channel that is closed when the moment has come, and that
// stays the same while the moment is moved.
type deadline struct {
	armed atomic.Bool // false: there is none, and no need to look further
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{}
}

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // the timer is about to close it: wait, so that it closes this one
	}
	d.timer = nil
	if d.over == nil || isClosed(d.over) {
		d.over = make(chan struct{})
	}
	d.armed.Store(!t.IsZero())
	if t.IsZero() {
		return
	}
	over := d.over
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, func() { close(over) })
		return
	}
	close(over)
}

// stop takes the deadline away for good.
func (d *deadline) stop() {
	if d.armed.Load() { // most never are
		d.set(time.Time{})
	}
}

// wait is a channel that is closed when the deadline has passed, or nil if
// there is none.
func (d *deadline) wait() <-chan struct{} {
	if !d.armed.Load() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
