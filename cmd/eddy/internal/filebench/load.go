package filebench

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	burst     = 2 * time.Millisecond
	fsyncSize = 1 << 20
)

// load is the other work of a measurement: goroutines that compute, and goroutines that write and fsync. It is the
// same for all sides, the standard library's.
type load struct {
	bursts, fsyncs atomic.Int64

	over    atomic.Bool
	running sync.WaitGroup
	mu      sync.Mutex // guards err
	err     error
}

func startLoad(work Work) (*load, error) {
	l := &load{}
	for range work.Busy {
		l.running.Go(l.compute)
	}
	for range work.Fsync {
		f, err := os.CreateTemp(filepath.Dir(work.Path), ".eddy-bench-fsync-*")
		if err != nil {
			return nil, errors.Join(err, l.stop())
		}
		l.running.Go(func() { l.write(f) })
	}
	return l, nil
}

// compute keeps a processor busy in bursts and lets others run between them.
func (l *load) compute() {
	for !l.over.Load() {
		for began := time.Now(); time.Since(began) < burst; {
		}
		l.bursts.Add(1)
		runtime.Gosched()
	}
}

func (l *load) write(f *os.File) {
	removed := os.Remove(f.Name()) == nil // while it is open, so that nothing can leave it behind
	buf := make([]byte, fsyncSize)
	for !l.over.Load() {
		_, err := f.WriteAt(buf, 0)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			l.mu.Lock()
			l.err = errors.Join(l.err, err)
			l.mu.Unlock()
			break
		}
		l.fsyncs.Add(1)
	}
	f.Close()
	if !removed {
		os.Remove(f.Name())
	}
}

func (l *load) stop() error {
	l.over.Store(true)
	l.running.Wait()
	return l.err
}
