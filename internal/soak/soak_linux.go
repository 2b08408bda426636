package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eddyio/eddy/internal/leaktest"
)

// soak is one run.
type soak struct {
	problems
	o        options
	out      io.Writer
	settings []*setting
	dir      string
	begun    time.Time
	dog      watchdog
	memory   memory
	mistake  mistake

	ready   chan struct{} // closed when everybody is there
	stop    chan struct{} // closed when the time is over
	workers sync.WaitGroup
	servers sync.WaitGroup // they end when their clients have and their listeners are closed

	closeServers func()

	counts counts
}

// counts are what has happened, of all settings.
type counts struct {
	fileBytes, socketBytes         atomic.Uint64
	cancelled, deadlines, doubts   atomic.Uint64
	reopened, connections, refused atomic.Uint64
	datagramsLost                  atomic.Uint64
	signalsSent, signalsReceived   atomic.Uint64
	disabled                       atomic.Uint64
}

// soakFor does it all, and reports whether all was well.
func soakFor(o options) (bool, error) {
	s := &soak{o: o, out: os.Stdout, ready: make(chan struct{}), stop: make(chan struct{})}
	s.problems.out = os.Stdout
	s.mistake.name = o.mistake
	var err error
	if s.dir, err = os.MkdirTemp(o.dir, "eddy-soak-"); err != nil {
		return false, err
	}
	defer os.RemoveAll(s.dir)
	warmUp()
	before := leaktest.Take()
	mapped, err := ringMappings()
	if err != nil {
		return false, err
	}
	fmt.Fprintf(s.out, "soak for %v: seed %d, GOGC=%s, GODEBUG=%s\n", o.time, o.seed, or(os.Getenv("GOGC"), "5"), or(os.Getenv("GODEBUG"), "none"))
	if err := s.usableSettings(); err != nil {
		return false, err
	}
	if err := s.start(); err != nil {
		return false, err
	}
	s.begun = time.Now()
	close(s.ready)
	if !s.watch() {
		return false, nil // it hangs: nothing more can be said
	}
	s.finish(before, mapped)
	return s.report(), nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// start prepares everything, and everybody.
func (s *soak) start() error {
	if err := s.startFiles(); err != nil {
		return err
	}
	if err := s.startSockets(); err != nil {
		return err
	}
	if err := s.startSignals(); err != nil {
		return err
	}
	s.startChurn()
	s.worker("memory", s.sampleMemory)
	if s.o.pressure {
		s.worker("pressure", s.press)
	}
	return nil
}

// worker runs something until the stop, under the eyes of the watchdog.
func (s *soak) worker(name string, run func(*pulse)) {
	p := s.dog.add(name)
	s.workers.Go(func() {
		defer s.dog.remove(p)
		<-s.ready
		run(p)
	})
}

// stopping reports whether the time is over.
func (s *soak) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// pause sleeps, but not past the end.
func (s *soak) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.stop:
	case <-timer.C:
	}
}

// watch waits until the time is over and everybody has come back, prints a line
// now and then, and reports false if somebody hangs.
func (s *soak) watch() bool {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	line := time.NewTicker(s.o.report)
	defer line.Stop()
	over := time.NewTimer(s.o.time)
	defer over.Stop()
	back := make(chan struct{})
	for {
		select {
		case <-over.C:
			close(s.stop)
			s.dog.add("the end") // which must come, though nothing beats for it
			go func() {
				s.workers.Wait()
				s.closeServers()
				s.servers.Wait()
				close(back)
			}()
		case <-back:
			return true
		case <-line.C:
			fmt.Fprintln(s.out, s.line())
		case <-second.C:
			if hung := s.dog.look(patience); len(hung) > 0 {
				s.add("hang", "no progress for %d s: %q; %s", patience, hung, dumpStacks())
				return false
			}
		}
	}
}
