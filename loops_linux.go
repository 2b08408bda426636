package eddy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/probe"
)

// loops is what sockets are spread over, each with a registry of its own. The
// first is the driver's main one; the others are made with the first socket.
type loops struct {
	main  *loop
	cfg   Config
	all   atomic.Pointer[[]*loop]
	short atomic.Pointer[Fallback] // why they are fewer than asked for; nil if they are not
	next  atomic.Uint32
	mu    sync.Mutex
	shut  bool
}

// By itself, a driver has a loop for every loopProcs processors, at most
// mostDefaultLoops. A loop hands on several events in the time that a processor
// needs for one of them, so that one can feed several. A second loop beside it
// costs: when the kernel takes the processor away from a thread in whose queue a
// loop waits, that loop's sockets wait, too, for the others keep the peers busy;
// the only loop is soon found by a processor that has nothing else to do.
const (
	loopProcs        = 4
	mostDefaultLoops = 8
)

func (s *loops) init(main *loop, cfg Config) { s.main, s.cfg = main, cfg }

// pick chooses the loop for a new socket, in turn.
func (s *loops) pick() (*loop, error) {
	all := s.all.Load()
	if all == nil {
		var err error
		if all, err = s.make(); err != nil {
			return nil, err
		}
	}
	return (*all)[s.next.Add(1)%uint32(len(*all))], nil
}

// made is the loops there are.
func (s *loops) made() []*loop {
	if all := s.all.Load(); all != nil {
		return *all
	}
	return nil
}

// make makes the loops that are still missing. If there are descriptors for
// some only, fewer do: the last of them is given up, so that there are some left
// for the sockets.
func (s *loops) make() (*[]*loop, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.all.Load(); all != nil {
		return all, nil
	}
	if s.shut {
		return nil, ErrShutdown
	}
	all, wanted := []*loop{s.main}, s.cfg.loops()
	for len(all) < wanted {
		l, err := newLoop(driver.Config{Events: eventsPerTurn, NoRing: true}, s.main.watch)
		if err == nil {
			err = l.start(nil)
		}
		if err == nil {
			all = append(all, l)
			continue
		}
		if last := len(all) - 1; last > 0 {
			err = errors.Join(err, all[last].stop(context.Background()))
			all = all[:last]
		}
		s.short.Store(shortOfLoops(len(all), wanted, err))
		break
	}
	for _, l := range all {
		l.parkAtOnce = s.cfg.ParkAtOnce
	}
	s.all.Store(&all)
	return &all, nil
}

// shortOfLoops says why there are fewer loops than wanted.
func shortOfLoops(have, wanted int, err error) *Fallback {
	reason := probe.ReasonUnexpected
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		reason = probe.ReasonFdLimit
	}
	return &Fallback{
		Wanted:   "more event loops",
		Reason:   reason,
		Evidence: []string{fmt.Sprintf("%d of %d", have, wanted)},
		Err:      err,
	}
}

// loops is how many loops there are to be.
func (c Config) loops() int {
	if c.Loops > 0 {
		return c.Loops
	}
	return max(1, min(runtime.GOMAXPROCS(0)/loopProcs, mostDefaultLoops))
}

func (s *loops) metrics(m *Metrics) {
	all := s.made()
	m.Loops = len(all)
	for _, l := range all {
		m.Sockets += l.sockets.Load()
		m.Looks += l.gate.looks.Load()
		m.Found += l.gate.found.Load()
		m.Holds += l.gate.holds.Load()
		m.Answered += l.gate.answered.Load()
	}
}

// shutdown stops all loops but the first.
func (s *loops) shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	var err error
	for _, l := range s.made() {
		if l != s.main {
			err = errors.Join(err, l.stop(ctx))
		}
	}
	return err
}
