package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/leaktest"
)

// warmUp makes what Go's runtime makes once and keeps.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		_ = r.Close()
		_ = w.Close()
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	signal.Stop(c)
}

// ringMappings counts the mappings that rings have: of a ring's descriptor, or
// shared and anonymous, which the runtime has none of.
func ringMappings() (int, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	n := 0
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "[io_uring]") || strings.Contains(line, "/dev/zero (deleted)") || strings.Contains(line, "anon_shmem") {
			n++
		}
	}
	return n, nil
}

// finishMost is more than the patience of all that finish waits for.
const finishMost = 15 * time.Minute

// finish shuts the drivers down and looks at what is left.
func (s *soak) finish(before leaktest.Snapshot, mapped int) {
	guard := time.AfterFunc(finishMost, func() {
		fmt.Fprintf(s.out, "VIOLATION: hang: the drivers cannot be shut down; %s\n", dumpStacks())
		s.quit()
	})
	defer guard.Stop()
	s.expectMappings(mapped)
	s.closeServers = nil
	for _, set := range s.settings {
		s.expectNothing(set, "before its shutdown")
		ctx, cancel := patient(patience)
		if err := set.d.Shutdown(ctx); err != nil {
			s.add("unexpected error", "%s: shutdown: %v", set.name, err)
		}
		cancel()
		set.base.Driver.Registrations = 0
		s.expectNothing(set, "after its shutdown")
		set.d = nil // the collector is to see what it has left
	}
	difference := s.difference(before)
	if difference != "" {
		s.add("left behind", "%d descriptors and goroutines:\n%s", strings.Count(difference, "leaked "), excerptOf(difference, 4000))
	} else {
		fmt.Fprintln(s.out, "descriptors and goroutines: as before")
	}
	now, err := ringMappings()
	if err != nil || now != mapped {
		s.add("left behind", "%d mappings of rings, and there were %d before; %v", now, mapped, err)
	} else {
		fmt.Fprintf(s.out, "mappings of rings: %d, as before\n", now)
	}
}

// expectMappings objects if the rings' mappings cannot be seen while there are some:
// that they are gone later would say nothing.
func (s *soak) expectMappings(before int) {
	rings := 0
	for _, set := range s.settings {
		if set.d.Status().Backend == eddy.BackendURing {
			rings++
		}
	}
	if now, err := ringMappings(); err != nil || now < before+rings {
		s.add("mappings not seen", "%d drivers with a ring, and %d mappings of rings; %v", rings, now, err)
	}
}

// difference waits until nobody is left but those of before. It has the garbage
// collected meanwhile: it is the runtime that ends the process when an object is
// collected that pins others, runtime.Pinner.
func (s *soak) difference(before leaktest.Snapshot) string {
	const perSecond = 50
	for rounds := 1; ; rounds++ {
		runtime.GC()
		time.Sleep(time.Second / perSecond)
		difference := before.Difference()
		if difference == "" && rounds >= 3 || rounds == s.mistake.patience(20)*perSecond {
			return difference
		}
	}
}

func excerptOf(text string, most int) string {
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// expectNothing waits until all gauges of a setting's driver are zero.
func (s *soak) expectNothing(set *setting, when string) {
	limit, cancel := patient(s.mistake.patience(20))
	defer cancel()
	for {
		left := remaining(gauges(set.d.Metrics(), set.base))
		if left == "" {
			return
		}
		if limit.Err() != nil {
			s.add("left in a driver", "%s, %s:%s", set.name, when, left)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
