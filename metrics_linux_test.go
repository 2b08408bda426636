package eddy_test

import (
	"context"
	"testing"

	"github.com/eddyio/eddy"
)

// An operation counts once, on the path that it has taken.
func TestOperationCountsOnAPathNotTaken(t *testing.T) {
	eachRing(t, func(t *testing.T, cfg eddy.Config) {
		d := newDriver(t, cfg)
		f, _ := openDirect(t, d, blocks(4))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p := aligned(blockSize)
		for what, read := range map[string]func() error{
			"ReadAt":            func() error { return second(f.ReadAt(p, 0)) },
			"ReadAtContext":     func() error { return second(f.ReadAtContext(ctx, p, 0)) },
			"ReadBatch":         func() error { return f.ReadBatch(context.Background(), []eddy.BatchRead{{Buf: p}}) },
			"ReadBatch, leaves": func() error { return f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p}}) },
		} {
			before := d.Metrics()
			if err := read(); err != nil {
				t.Fatal(err)
			}
			after := d.Metrics()
			counted := after.Direct - before.Direct + after.Ring - before.Ring + after.Owned - before.Owned + after.Offloaded - before.Offloaded
			if counted != 1 {
				t.Errorf("%s counts as %d operations", what, counted)
			}
			// A ring of its own thread submits entries of its own, too.
			if onRing := after.Driver.Completed - before.Driver.Completed; onRing != counted-(after.Direct-before.Direct) {
				t.Errorf("%s: %d on the ring, but the counts say %+v, then %+v", what, onRing, before, after)
			}
		}
	})
}
