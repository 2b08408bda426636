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

// release gives back the buffer, if there is one.
func (work *offloaded) release() {
	if work.own != nil {
		work.own.Release()
	}
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
	work.release()
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

// offload does the work on a goroutine of its own and waits for its end, after
// which the caller takes the result and leaves. An error says that the caller is
// out of it: the work was not begun, or goes on, and late is called at its end.
func (d *Driver) offload(work *offloaded, s *stops, do, late func()) error {
	if !d.offloads.enter(work) {
		work.release()
		return ErrShutdown
	}
	d.metrics.offloaded.Add(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	err := s.wait(done)
	if err != nil {
		d.metrics.abandoned.Add(1)
		go func() {
			<-done
			late()
			d.offloads.leave(work)
		}()
	}
	return err
}

// offloadTransfer does a transfer by e, with memory of its own.
func offloadTransfer(e engine, t transfer, s *stops) (int, error) {
	d := t.file.d
	own := lease(t)
	work := &offloaded{op: t.kind.String(), name: t.file.name, own: own}
	u := t
	u.p = own.bytes
	var n int
	var err error
	if stopped := d.offload(work, s, func() { n, err = e.transfer(u) }, func() {}); stopped != nil {
		return 0, stopped
	}
	if t.kind == kindRead {
		copy(t.p, own.bytes[:n])
	}
	d.offloads.leave(work)
	return n, err
}
