package filebench

import (
	"errors"
	"fmt"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/background"
	"github.com/eddyio/eddy/cmd/eddy/internal/cputime"
)

// The phases of a measurement. An operation is counted if it ends while counting.
const (
	phaseWarming int32 = iota
	phaseCounting
	phaseOver
)

// The range and precision of latencies: 100 ns to 2 minutes, within 1 %. A histogram of it takes some 30 KiB, which a
// thousand goroutines can have each, so that recording needs no lock.
const (
	shortestLatency = int64(100)
	longestLatency  = int64(2 * time.Minute)
	latencyDigits   = 2
)

// meter is what all workers of one measurement share.
type meter struct {
	phase atomic.Int32
	base  time.Time

	mu  sync.Mutex // guards err
	err error      // the first
}

func (m *meter) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
	}
	m.phase.Store(phaseOver)
}

// worker is one goroutine's part.
type worker struct {
	step      step
	ops       int64
	latencies *hdrhistogram.Histogram
	worst     int64
}

// run repeats the worker's operation until the measurement is over. There is one clock reading for each operation:
// the end of one is the beginning of the next.
func (w *worker) run(m *meter) {
	last := time.Since(m.base)
	for {
		blocks, err := w.step()
		now := time.Since(m.base)
		if err != nil {
			m.fail(err)
			return
		}
		switch m.phase.Load() {
		case phaseCounting:
			w.ops += blocks
			w.record(int64(now-last), blocks)
		case phaseOver:
			// Too late for the rate, but a latency all the same: the slowest operations are those that end last.
			w.record(int64(now-last), blocks)
			return
		}
		last = now
	}
}

func (w *worker) record(latency, blocks int64) {
	w.worst = max(w.worst, latency)
	_ = w.latencies.RecordValues(min(latency, longestLatency), blocks) // fails only above longestLatency
}

// Measure carries out one measurement in this process. cfg is for eddy's side.
func Measure(work Work, cfg eddy.Config) (Sample, error) {
	t, err := openTarget(work, cfg)
	if err != nil {
		return Sample{}, err
	}
	defer t.close()
	load, err := startLoad(work)
	if err != nil {
		return Sample{}, err
	}
	m := &meter{base: time.Now()}
	workers := make([]*worker, work.Goroutines)
	for i := range workers {
		workers[i] = &worker{
			step:      t.newStep(work, i),
			latencies: hdrhistogram.New(shortestLatency, longestLatency, latencyDigits),
		}
	}
	var running sync.WaitGroup
	for _, w := range workers {
		running.Go(func() { w.run(m) })
	}
	time.Sleep(seconds(work.Warmup))
	m.phase.CompareAndSwap(phaseWarming, phaseCounting)
	before := takeReading(load)
	time.Sleep(seconds(work.Seconds))
	after := takeReading(load)
	m.phase.Store(phaseOver)
	running.Wait()
	if err := errors.Join(m.err, load.Stop()); err != nil {
		return Sample{}, err
	}
	s := summarize(workers, before, after)
	t.describe(&s)
	return s, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// reading is the state of everything that is counted, at one moment.
type reading struct {
	at   time.Time
	cpu  time.Duration
	load background.Counts
}

func takeReading(load *background.Work) reading {
	now := time.Now()
	user, system := cputime.Process()
	return reading{now, user + system, load.Counts()}
}

func summarize(workers []*worker, before, after reading) Sample {
	all := hdrhistogram.New(shortestLatency, longestLatency, latencyDigits)
	var ops, worst int64
	for _, w := range workers {
		all.Merge(w.latencies)
		ops += w.ops
		worst = max(worst, w.worst)
	}
	const perMicrosecond = 1e3
	took := after.at.Sub(before.at).Seconds()
	s := Sample{
		IOPS:    float64(ops) / took,
		Threads: pprof.Lookup("threadcreate").Count(),
		P50:     float64(all.ValueAtPercentile(50)) / perMicrosecond,
		P99:     float64(all.ValueAtPercentile(99)) / perMicrosecond,
		Worst:   float64(worst) / perMicrosecond,
		Bursts:  float64(after.load.Bursts-before.load.Bursts) / took,
		Fsyncs:  float64(after.load.Fsyncs-before.load.Fsyncs) / took,
	}
	if ops > 0 {
		s.CPU = (after.cpu - before.cpu).Seconds() / float64(ops) * 1e6
	}
	return s
}

// wrongBlock is the error of a read that brought something else than the block it asked for.
func wrongBlock(want, got uint64) error {
	return fmt.Errorf("read block %d and got the data of block %d: the numbers would be worthless", want, got)
}
