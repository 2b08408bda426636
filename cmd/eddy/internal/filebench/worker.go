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

// The range and precision of latencies: 100 ns to 2 minutes, within 1 %.
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

// latencies is what all workers have measured. A histogram takes some 30 KiB. If a thousand workers had one each,
// hardly any of it would be in a cache when it is needed, and what that costs would be taken for the operation's. So
// there is one, and workers add to it many observations at a time.
type latencies struct {
	mu        sync.Mutex // guards the rest
	histogram *hdrhistogram.Histogram
	worst     int64
}

// observation is how long an operation took, in nanoseconds, and how many blocks it was.
type observation struct{ latency, blocks int64 }

// newLatencies has no observations yet.
func newLatencies() *latencies {
	return &latencies{histogram: hdrhistogram.New(shortestLatency, longestLatency, latencyDigits)}
}

func (l *latencies) add(observed []observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range observed {
		l.worst = max(l.worst, o.latency)
		_ = l.histogram.RecordValues(min(o.latency, longestLatency), o.blocks) // fails only above longestLatency
	}
}

// worker is one goroutine's part.
type worker struct {
	step     step
	ops      int64
	all      *latencies
	observed [32]observation // that are not among all yet
	pending  int             // how many
}

// run repeats the worker's operation until the measurement is over. There is one clock reading for each operation:
// the end of one is the beginning of the next.
func (w *worker) run(m *meter) {
	defer w.flush()
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
			if w.record(int64(now-last), blocks) {
				now = time.Since(m.base) // that has taken its time, too
			}
		case phaseOver:
			// Too late for the rate, but a latency all the same: the slowest operations are those that end last.
			w.record(int64(now-last), blocks)
			return
		}
		last = now
	}
}

// record notes an operation, and tells whether it has passed on all that were noted.
func (w *worker) record(latency, blocks int64) (flushed bool) {
	w.observed[w.pending] = observation{latency, blocks}
	if w.pending++; w.pending < len(w.observed) {
		return false
	}
	w.flush()
	return true
}

func (w *worker) flush() {
	w.all.add(w.observed[:w.pending])
	w.pending = 0
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
	all := newLatencies()
	workers := make([]*worker, work.Goroutines)
	for i := range workers {
		workers[i] = &worker{step: t.newStep(work, i), all: all}
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
	s := summarize(workers, all, before, after)
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

func summarize(workers []*worker, all *latencies, before, after reading) Sample {
	var ops int64
	for _, w := range workers {
		ops += w.ops
	}
	const perMicrosecond = 1e3
	took := after.at.Sub(before.at).Seconds()
	s := Sample{
		IOPS:    float64(ops) / took,
		Threads: pprof.Lookup("threadcreate").Count(),
		P50:     float64(all.histogram.ValueAtPercentile(50)) / perMicrosecond,
		P99:     float64(all.histogram.ValueAtPercentile(99)) / perMicrosecond,
		Worst:   float64(all.worst) / perMicrosecond,
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
