package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/eddyio/eddy/internal/leaktest"
)

// line is how far it is.
func (s *soak) line() string {
	o, elapsed := s.operations(), time.Since(s.begun)
	seconds := elapsed.Seconds()
	resident, _ := residentBytes() // 0 says that it could not be read
	c := &s.counts
	return fmt.Sprintf("%5.0fs  file ops %d (%.0f/s)  socket ops %d (%.0f/s)  datagrams %d  drivers %d  cancelled %d  deadlines %d  connections %d  signals %d  RSS %d MiB  fds %d  goroutines %d  violations %d",
		seconds, o.files, float64(o.files)/seconds, o.sockets, float64(o.sockets)/seconds, o.datagrams, o.drivers,
		c.cancelled.Load(), c.deadlines.Load(), c.connections.Load(), c.signalsSent.Load(),
		int(resident)>>20, len(leaktest.Fds()), runtime.NumGoroutine(), s.count())
}

// report says how it went, and reports whether it went well.
func (s *soak) report() bool {
	c := &s.counts
	fmt.Fprintln(s.out, "\nreport")
	for _, set := range s.settings {
		fmt.Fprintf(s.out, "%-12s file ops %d  socket ops %d  datagrams %d  drivers %d\n",
			set.name, set.files.Load(), set.sockets.Load(), set.datagrams.Load(), set.drivers.Load())
		s.expectWork(set)
	}
	fmt.Fprintf(s.out, "verified     %d MiB of files, %d MiB of streams, %d datagrams; corrupt bytes: %d\n",
		c.fileBytes.Load()>>20, c.streamBytes.Load()>>20, s.operations().datagrams, s.corrupt.Load())
	fmt.Fprintf(s.out, "ended early  %d by a context, %d by a deadline; blocks in doubt for it %d; files reopened %d\n",
		c.cancelled.Load(), c.deadlines.Load(), c.doubts.Load(), c.reopened.Load())
	fmt.Fprintf(s.out, "connections  %d, and %d not made in time; datagrams not heard of in time %d\n",
		c.connections.Load(), c.refused.Load(), c.datagramsLate.Load())
	fmt.Fprintf(s.out, "signals      %d sent, %d received by %d receivers; rings switched off %d\n",
		c.signalsSent.Load(), c.signalsReceived.Load(), len(s.settings), c.disabled.Load())
	s.judgeMemory()
	s.problems.mu.Lock()
	defer s.problems.mu.Unlock()
	if s.total == 0 {
		fmt.Fprintln(s.out, "violations: 0")
		return true
	}
	fmt.Fprintf(s.out, "violations: %d\n", s.total)
	for _, kind := range slices.Sorted(maps.Keys(s.problems.counts)) {
		fmt.Fprintf(s.out, "  %d %s\n", s.problems.counts[kind], kind)
	}
	fmt.Fprintf(s.out, "the choices were those of -seed %d\n", s.o.seed)
	return false
}

// expectWork objects to a soak that has not done what it is for.
func (s *soak) expectWork(set *setting) {
	for _, work := range []struct {
		name string
		done uint64
	}{{"file operations", set.files.Load()}, {"stream operations", set.sockets.Load()}, {"datagrams", set.datagrams.Load()},
		{"drivers", set.drivers.Load()}, {"operations cancelled", s.counts.cancelled.Load()},
		{"deadlines", s.counts.deadlines.Load()}, {"signals received", s.counts.signalsReceived.Load()}} {
		if work.done == 0 {
			s.add("nothing done", "%s: no %s", set.name, work.name)
		}
	}
}
