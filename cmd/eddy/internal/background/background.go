package background

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// fsyncSize is what each fsyncing goroutine writes before it syncs, in bytes.
const fsyncSize = 1 << 20

// DefaultBurst is how long a computing goroutine computes before it lets others run.
const DefaultBurst = 2 * time.Millisecond

// Load says what runs beside a measurement.
type Load struct {
	Busy    int           // goroutines that compute
	Burst   time.Duration // for how long before they let others run; 0 is DefaultBurst
	Fsync   int           // goroutines that write 1 MiB and fsync
	Dir     string        // where they do so
	Garbage bool          // a large heap of small objects, and one goroutine that replaces them
}

// Counts is what has been done so far.
type Counts struct {
	Bursts int64 // ended, of the computing goroutines
	Spins  int64 // how often they went round their loops
	Fsyncs int64
}

// Work is a Load that runs.
type Work struct {
	bursts, spins, fsyncs atomic.Int64

	over    atomic.Bool
	running sync.WaitGroup
	mu      sync.Mutex // guards err
	err     error
}

// Start begins the work.
func Start(load Load) (*Work, error) {
	if load.Burst == 0 {
		load.Burst = DefaultBurst
	}
	w := &Work{}
	if load.Garbage {
		w.running.Go(newGarbage(w))
	}
	for range load.Busy {
		w.running.Go(func() { w.compute(load.Burst) })
	}
	for range load.Fsync {
		f, err := os.CreateTemp(load.Dir, ".eddy-bench-fsync-*")
		if err != nil {
			return nil, errors.Join(err, w.Stop())
		}
		removed := os.Remove(f.Name()) == nil // at once and while it is open, so that nothing can leave it behind
		w.running.Go(func() { w.write(f, removed) })
	}
	return w, nil
}

// Counts may be called at any time.
func (w *Work) Counts() Counts { return Counts{w.bursts.Load(), w.spins.Load(), w.fsyncs.Load()} }

// Stop ends the work and returns what went wrong in it.
func (w *Work) Stop() error {
	w.over.Store(true)
	w.running.Wait()
	return w.err
}

// compute keeps a processor busy in bursts and lets others run between them.
func (w *Work) compute(burst time.Duration) {
	for !w.over.Load() {
		spins := int64(0)
		for began := time.Now(); time.Since(began) < burst; {
			spins++
		}
		w.bursts.Add(1)
		w.spins.Add(spins)
		runtime.Gosched()
	}
}

func (w *Work) write(f *os.File, removed bool) {
	buf := make([]byte, fsyncSize)
	for !w.over.Load() {
		_, err := f.WriteAt(buf, 0)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			w.mu.Lock()
			w.err = errors.Join(w.err, err)
			w.mu.Unlock()
			break
		}
		w.fsyncs.Add(1)
	}
	f.Close()
	if !removed {
		os.Remove(f.Name())
	}
}
