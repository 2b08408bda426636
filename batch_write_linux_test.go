package eddy_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/eddyio/eddy"
)

// Past the page cache every block is a request of its own, and the caller has its
// memory back when the batch has ended.
func TestDirectBatchWritesOtherBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		cancelable, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, blocks := range []int{1, 32, 64, 65, 700} {
			for _, ctx := range []context.Context{context.Background(), cancelable} {
				f, name := openDirect(t, d, nil)
				data := pattern(blocks * blockSize)
				writes := make([]eddy.BatchWrite, blocks)
				for i, k := range rand.Perm(blocks) {
					writes[i] = eddy.BatchWrite{Buf: alignedCopy(data[k*blockSize : (k+1)*blockSize]), Off: int64(k) * blockSize}
				}
				err := f.WriteBatch(ctx, writes)
				wantWritten(t, writes, err)
				for _, w := range writes {
					fillCanary(w.Buf)
				}
				if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d blocks: %d bytes are read, %v, or others", blocks, len(got), err)
				}
				f.Close()
			}
		}
	})
}

// A write to the page cache is a copy, which a ring makes slower.
func TestBatchOfCopiesGoesToTheRing(t *testing.T) {
	t.Setenv("EDDY_BACKEND", "")
	d := newDriver(t, eddy.Config{})
	f := open(t, d, tempFile(t, nil), os.O_RDWR)
	if d.Status().Backend != eddy.BackendURing {
		t.Skip("SKIPPED: no ring")
	}
	before := d.Metrics()
	writes := scattered(pattern(500_000))
	wantWritten(t, writes, f.WriteBatch(context.Background(), writes))
	if after := d.Metrics(); after.Ring != before.Ring || after.Driver.Holds != before.Driver.Holds {
		t.Errorf("%d on the ring, %d on one of the caller's own", after.Ring-before.Ring, after.Driver.Holds-before.Driver.Holds)
	}
}

// Seven threads that write to a device are faster than a ring.
func TestFewWritersGoToTheRing(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("SKIPPED: on one processor the ring is the faster way")
	}
	t.Setenv("EDDY_BACKEND", "")
	d := newDriver(t, eddy.Config{})
	f, _ := openDirect(t, d, pattern(7*blockSize))
	var writers sync.WaitGroup
	for i := range int64(7) {
		writers.Go(func() {
			p := aligned(blockSize)
			for range 100 {
				if n, err := f.WriteAt(p, i*blockSize); n != blockSize || err != nil {
					t.Error(n, err)
				}
			}
		})
	}
	writers.Wait()
	if m := d.Metrics(); m.Ring != 0 {
		t.Errorf("%d on the ring, %d plain calls", m.Ring, m.Direct)
	}
}
