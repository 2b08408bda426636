package eddy

import (
	"context"
	"errors"
	"sync"

	"github.com/eddyio/eddy/driver"
)

// offloads is the operations that run on goroutines of their own, since there
// is no ring to do them. A shutdown waits for those whose callers have left.
type offloads struct {
	mu     sync.Mutex
	all    map[*offloaded]struct{}
	closed bool
	empty  chan struct{} // closed when the last has ended; made by drain
}

// offloaded is one of them.
type offloaded struct {
	op, name string
	own      *buffer // a transfer's
}

// enter counts an operation in, or reports that it comes too late.
func (o *offloads) enter(work *offloaded) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	if o.all == nil {
		o.all = map[*offloaded]struct{}{}
	}
	o.all[work] = struct{}{}
	return true
}

// leave counts it out and gives its buffer back.
func (o *offloads) leave(work *offloaded) {
	o.mu.Lock()
	delete(o.all, work)
	last := len(o.all) == 0 && o.empty != nil
	if work.own != nil {
		work.own.Release()
	}
	if last {
		close(o.empty)
		o.empty = nil
	}
	o.mu.Unlock()
}

// drain lets nobody in any more, and returns what has not ended when ctx does.
func (o *offloads) drain(ctx context.Context) []driver.Stuck {
	o.mu.Lock()
	o.closed = true
	if len(o.all) == 0 {
		o.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	o.empty = empty
	o.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var stuck []driver.Stuck
	for work := range o.all {
		stuck = append(stuck, driver.Stuck{Op: work.op, Name: work.name})
	}
	return stuck
}

// withStuck adds to a shutdown's error what else it had to leave behind.
func withStuck(err error, stuck []driver.Stuck, cause error) error {
	if len(stuck) == 0 {
		return err
	}
	var already *ShutdownError
	if errors.As(err, &already) {
		already.Stuck = append(already.Stuck, stuck...)
		return err
	}
	report := &ShutdownError{Stuck: stuck, Cause: cause}
	if err == nil {
		return report
	}
	return errors.Join(err, report)
}

// offload does a transfer on a goroutine of its own, with memory of its own.
func offload(e engine, t transfer, s stops) (int, error) {
	type outcome struct {
		n   int
		err error
	}
	d := t.file.d
	own := lease(t)
	work := &offloaded{op: t.kind.String(), name: t.file.name, own: own}
	if !d.offloads.enter(work) {
		own.Release()
		return 0, ErrShutdown
	}
	d.metrics.offloaded.Add(1)
	done := make(chan struct{})
	var result outcome
	go func() {
		defer close(done)
		u := t
		u.p = own.bytes
		result.n, result.err = e.transfer(u)
	}()
	if err := s.wait(done); err != nil {
		d.metrics.abandoned.Add(1)
		go func() {
			<-done
			d.offloads.leave(work)
		}()
		return 0, err
	}
	if t.kind == kindRead {
		copy(t.p, own.bytes[:result.n])
	}
	d.offloads.leave(work)
	return result.n, result.err
}
