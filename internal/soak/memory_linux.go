package main

import (
	"fmt"
	"math"
	"os"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// memory is how much is in use, over time: what the kernel says is resident, and
// what the collector has found to be live.
type memory struct {
	live atomic.Uint64 // bytes, at the last sample

	mu       sync.Mutex
	resident []sample
	heap     []sample
	counts   []operations // at each sample
}

// operations are those of all settings.
type operations struct{ files, sockets, datagrams, drivers uint64 }

// since is what was done after those.
func (o operations) since(before operations) operations {
	return operations{o.files - before.files, o.sockets - before.sockets, o.datagrams - before.datagrams, o.drivers - before.drivers}
}

func (s *soak) operations() (o operations) {
	for _, set := range s.settings {
		o.files += set.files.Load()
		o.sockets += set.sockets.Load()
		o.datagrams += set.datagrams.Load()
		o.drivers += set.drivers.Load()
	}
	return o
}

// sampleMemory takes the least of many looks for each sample: the garbage comes and
// goes in between, and what has leaked is always there. (To collect and to give
// back what is free before each would be exact, but debug.FreeOSMemory sweeps one
// span for each time that this goroutine gets a processor, which it shares with a
// thousand.)
func (s *soak) sampleMemory(p *pulse) {
	every := min(max(s.o.time/100, 100*time.Millisecond), 5*time.Second)
	for !s.stopping() {
		p.beat()
		begun := time.Now()
		resident, live := math.Inf(1), math.Inf(1)
		for looks := 0; looks < 3 || time.Since(begun) < every; looks++ {
			now, err := residentBytes()
			if err != nil {
				s.add("unexpected error", "%v", err)
				return
			}
			resident, live = min(resident, now), min(live, heapLive())
			s.pause(every / 20)
		}
		s.memory.live.Store(uint64(live))
		if s.stopping() {
			return // the end is something else
		}
		at := time.Since(s.begun)
		s.memory.mu.Lock()
		s.memory.resident = append(s.memory.resident, sample{at, resident})
		s.memory.heap = append(s.memory.heap, sample{at, live})
		s.memory.counts = append(s.memory.counts, s.operations())
		s.memory.mu.Unlock()
	}
}

// heapLive is what the last collection has left.
func heapLive() float64 {
	read := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(read)
	return float64(read[0].Value.Uint64())
}

// residentBytes is what is resident, proc_pid_statm(5). It may be some pages for
// each thread wrong.
func residentBytes() (float64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return float64(resident * int64(os.Getpagesize())), nil
}

// What memory may seem to grow by while it is watched, in bytes, whatever was done
// and for however long: for threads and their stacks, pools that fill, the runtime's
// own tables. In a short soak, in which all that still begins, it is twice as much.
const (
	residentAllowance = 12 << 20
	heapAllowance     = 4 << 20
)

// detected is what a leak for each operation has to be found from, in bytes, by a
// soak of soakLong or more. A short one says what it would have found.
const (
	detected = 100
	soakLong = 5 * time.Minute
)

// deviations of the slope's error are taken for noise.
const deviations = 3

// judgeMemory fits lines to the samples, but for those of the first third of the
// time, in which pools fill and stacks grow, and says what their slopes mean.
func (s *soak) judgeMemory() {
	m := &s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	skip := 0
	for skip < len(m.resident) && m.resident[skip].at < s.o.time/3 {
		skip++
	}
	if len(m.resident)-skip < 6 {
		fmt.Fprintf(s.out, "NOT JUDGED: memory: %d samples do not make a line\n", len(m.resident)-skip)
		if s.o.time >= soakLong {
			s.add("memory not judged", "%d samples in %v", len(m.resident), s.o.time)
		}
		return
	}
	done := m.counts[len(m.counts)-1].since(m.counts[skip])
	s.judge("resident", trendOf(m.resident[skip:]), residentAllowance, done)
	s.judge("live heap", trendOf(m.heap[skip:]), heapAllowance, done)
}

// judge objects to a slope that is above the bound by more than noise can be. What
// would be found is the bound and that noise twice: it may hide as much as it adds.
// For the verdict of a long soak it counts per operation on files or on sockets,
// whichever were fewer.
func (s *soak) judge(name string, t trend, allowance float64, done operations) {
	seconds := t.window.Seconds()
	if s.o.time < soakLong {
		allowance *= 2
	}
	bound, noise := allowance/seconds, deviations*t.error
	would := (bound + 2*noise) * seconds
	fmt.Fprintf(s.out, "%-12s %v\n", name, t)
	fmt.Fprintf(s.out, "  measured   %+.1f bytes per file operation, or %+.1f per socket operation, or %+.0f per driver\n",
		t.slope*seconds/float64(done.files), t.slope*seconds/float64(done.sockets), t.slope*seconds/float64(done.drivers))
	fmt.Fprintf(s.out, "  bound      %.1f KiB/s above a noise of %.1f; a leak of %.0f bytes per file operation, %.0f per socket operation or %.0f per driver is found\n",
		bound/1024, noise/1024, would/float64(done.files), would/float64(done.sockets), would/float64(done.drivers))
	if t.slope-noise > bound {
		s.add("memory grows", "%s: %+.1f KiB/s, and less %.1f of noise that is above %.1f", name, t.slope/1024, noise/1024, bound/1024)
	}
	if s.o.time >= soakLong && would > detected*float64(min(done.files, done.sockets)) {
		s.add("memory not judged", "%s is so noisy that a leak of %d bytes per operation might not be found", name, detected)
	}
}
