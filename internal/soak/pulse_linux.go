package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pulse is a sign of life of a goroutine.
type pulse struct {
	name  string
	beats atomic.Uint64

	seen  uint64
	still int // seconds; the watchdog's
}

func (p *pulse) beat() { p.beats.Add(1) }

// patience is for how many seconds somebody may do nothing before it hangs. They
// are seconds in which this process ran: one that is stopped for a while, as a
// whole, is not late.
const patience = 90

// watchdog looks after the pulses.
type watchdog struct {
	mu     sync.Mutex
	pulses map[*pulse]bool
}

func (w *watchdog) add(p *pulse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pulses == nil {
		w.pulses = map[*pulse]bool{}
	}
	w.pulses[p] = true
}

func (w *watchdog) remove(p *pulse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pulses, p)
}

// look is to be called once a second, and names those who hang.
func (w *watchdog) look(patience int) (hung []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.pulses {
		beats := p.beats.Load()
		if beats != p.seen {
			p.seen, p.still = beats, 0
			continue
		}
		if p.still++; p.still == patience {
			hung = append(hung, p.name)
		}
	}
	return hung
}

// patient is a context that ends after so many seconds in which this process ran.
func patient(seconds int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for range seconds {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel()
	}()
	return ctx, cancel
}

// dumpStacks writes the stacks of all goroutines to a file and says where.
func dumpStacks() string {
	f, err := os.CreateTemp("", "soak-stacks-*.txt")
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	stacks := make([]byte, 64<<20)
	if _, err := f.Write(stacks[:runtime.Stack(stacks, true)]); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("stacks in %s", f.Name())
}
