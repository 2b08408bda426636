//go:build !race

package eddy_test

import (
	"context"
	"os"
	"testing"

	"github.com/eddyio/eddy"
)

// The detector of races allocates by itself, hence the constraint above.
func TestOperationAllocates(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		direct, name := openDirect(t, d, blocks(64))
		cached := open(t, d, name, os.O_RDWR)
		p := aligned(blockSize)
		reads := make([]eddy.BatchRead, 16)
		for i := range reads {
			reads[i] = eddy.BatchRead{Buf: aligned(blockSize), Off: int64(i) * blockSize}
		}
		writes := make([]eddy.BatchWrite, len(reads))
		for i, r := range reads {
			writes[i] = eddy.BatchWrite{Buf: r.Buf, Off: r.Off}
		}
		goroutines := d.Status().Backend != eddy.BackendURing // what can be abandoned is done on one
		for _, c := range []struct {
			what  string
			limit float64
			call  func() error
		}{
			{"ReadAt, cached", 0, func() error { _, err := cached.ReadAt(p, 0); return err }},
			{"WriteAt, cached", 0, func() error { _, err := cached.WriteAt(p, 0); return err }},
			{"ReadAt, direct", 0, func() error { _, err := direct.ReadAt(p, 0); return err }},
			{"WriteAt, direct", 0, func() error { _, err := direct.WriteAt(p, 0); return err }},
			{"WriteBatch, cached", 0, func() error { return cached.WriteBatch(context.Background(), writes) }},
			{"WriteBatch, direct", -1, func() error { return direct.WriteBatch(context.Background(), writes) }},
			{"ReadBatch, direct", -1, func() error { return direct.ReadBatch(context.Background(), reads) }},
			{"ReadAtContext, direct", -1, func() error { _, err := direct.ReadAtContext(ctx, p, 0); return err }},
		} {
			got := testing.AllocsPerRun(200, func() {
				if err := c.call(); err != nil {
					t.Fatal(err)
				}
			})
			limit := c.limit
			if limit < 0 && goroutines {
				t.Logf("%s: %v allocations", c.what, got)
				continue
			}
			if limit < 0 {
				limit = 1 // the stops of the call
			}
			t.Logf("%s: %v allocations", c.what, got)
			if got > limit {
				t.Errorf("%s: %v allocations, at most %v expected", c.what, got, limit)
			}
		}
	})
}
