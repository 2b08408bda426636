package uring_test

import (
	"fmt"
	"testing"

	"github.com/eddyio/eddy/uring"
)

// BenchmarkNop measures what a request costs by itself, in batches.
func BenchmarkNop(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			r, err := uring.New(64, uring.Config{Optional: uring.SetupNoSQArray})
			if err != nil {
				b.Skip("SKIP-KERNEL: ", err)
			}
			defer r.Close()
			into := make([]uring.CQE, batch)
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				for range batch {
					r.Next().PrepNop()
				}
				if _, err := r.Submit(); err != nil {
					b.Fatal(err)
				}
				if n := r.Reap(into); n != batch {
					b.Fatalf("reaped %d of %d", n, batch)
				}
			}
		})
	}
}
