package eddy_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// lateContext has ended, but does not say so to the first who asks.
type lateContext struct {
	context.Context
	asked atomic.Int32
}

func (c *lateContext) Err() error {
	if c.asked.Add(1) == 1 {
		return nil
	}
	return c.Context.Err()
}

// A batch of what no context can interrupt, such as reads of a character device,
// ends between two of its pieces.
func TestContextDoesNotEndBatchOfAStream(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, "/dev/zero", os.O_RDONLY)
		reads := make([]eddy.BatchRead, 100)
		for i := range reads {
			reads[i].Buf = make([]byte, 100)
		}
		if err := f.ReadBatch(&lateContext{Context: canceled()}, reads); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that of the context", err)
		}
		for i, r := range reads {
			if r.N != 0 || !errors.Is(r.Err, context.Canceled) {
				t.Fatalf("read %d: %d, %v", i, r.N, r.Err)
			}
		}
		if err := f.ReadBatch(context.Background(), reads); err != nil || reads[99].N != 100 {
			t.Errorf("without one: %v", err)
		}
	})
}

// What has not begun when the driver is shut down does not begin. A ring has been
// given all of it by then.
func TestBatchWritesAfterShutdown(t *testing.T) {
	list := slices.DeleteFunc(settings(t), func(s setting) bool { return strings.HasPrefix(s.name, "uring") })
	withDrivers(t, list, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, tempFile(t, nil), os.O_RDWR)
		p := make([]byte, 1<<20)
		writes := make([]eddy.BatchWrite, 4000) // one second's work, or so, all in one place
		for i := range writes {
			writes[i].Buf = p
		}
		batch := make(chan error)
		go func() { batch <- f.WriteBatch(context.Background(), writes) }()
		becomes(t, "something is written", func() bool {
			info, err := f.Stat()
			return err == nil && info.Size() > 0
		})
		shutdown(t, d)
		if err := <-batch; !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("the batch: %v", err)
		}
		refused := 0
		for i, w := range writes {
			if errors.Is(w.Err, eddy.ErrShutdown) && w.N < len(p) {
				refused++
			} else if w.Err != nil || w.N != len(p) {
				t.Fatalf("write %d: %d, %v", i, w.N, w.Err)
			}
		}
		if refused == 0 {
			t.Error("all writes were done")
		}
	})
}

// A batch that may be abandoned is copied, and not all of it at once.
func TestBatchTakesAsMuchMemoryAsItHasPieces(t *testing.T) {
	const pieces, size = 20, 1 << 20
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		f := open(t, d, tempFile(t, nil), os.O_RDWR)
		p := pattern(size)
		writes, reads := make([]eddy.BatchWrite, pieces), make([]eddy.BatchRead, pieces)
		q := make([]byte, pieces*size)
		for i := range pieces {
			writes[i] = eddy.BatchWrite{Buf: p, Off: int64(i) * size}
			reads[i] = eddy.BatchRead{Buf: q[i*size:][:size], Off: int64(i) * size}
		}
		var most atomic.Int64
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					most.Store(max(most.Load(), d.Metrics().Leases))
					time.Sleep(50 * time.Microsecond)
				}
			}
		}()
		wantWritten(t, writes, f.WriteBatch(ctx, writes))
		if err := f.ReadBatch(ctx, reads); err != nil {
			t.Error(err)
		}
		close(stop)
		<-stopped
		for i, r := range reads {
			if r.N != size || string(r.Buf) != string(p) {
				t.Errorf("read %d: %d, %v, or other bytes", i, r.N, r.Err)
			}
		}
		if n := most.Load(); n > 16 {
			t.Errorf("%d MiB of the driver's at once", n)
		}
	})
}
