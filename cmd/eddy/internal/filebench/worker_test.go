package filebench

import (
	"sync"
	"testing"
	"time"
)

// TestLatenciesGetLost: those that a worker has kept to itself when the measurement is over are the slowest.
func TestLatenciesGetLost(t *testing.T) {
	const workers, blocks = 3, 8
	for _, ops := range []int64{1, 31, 32, 33, 70} {
		m := &meter{base: time.Now()}
		m.phase.Store(phaseCounting)
		all := newLatencies()
		var running sync.WaitGroup
		for i := range workers {
			done := int64(0)
			w := &worker{all: all, step: func() (int64, error) {
				if done++; done == ops {
					if i == 0 {
						time.Sleep(20 * time.Millisecond)
					}
					m.phase.Store(phaseOver)
				}
				return blocks, nil
			}}
			// One after the other: who comes later finds the measurement over after one operation.
			m.phase.Store(phaseCounting)
			running.Go(func() { w.run(m) })
			running.Wait()
		}
		if got, want := all.histogram.TotalCount(), workers*blocks*ops; got != want {
			t.Errorf("%d operations: %d latencies of blocks, want %d", ops, got, want)
		}
		if worst := time.Duration(all.worst); worst < 20*time.Millisecond {
			t.Errorf("%d operations: the worst took %v", ops, worst)
		}
	}
}
