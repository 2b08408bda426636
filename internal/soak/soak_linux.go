package main

import (
	"errors"
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
	dir      directory
	begun    time.Time
	dog      watchdog
	memory   memory
	mistake  mistake

	ready       chan struct{} // closed when everybody is there
	stop        chan struct{} // closed when the time is over
	interrupted chan struct{} // closed when somebody has had enough

	workers sync.WaitGroup
	servers sync.WaitGroup // they end when their clients have and their listeners are closed
	serving pulse          // of all of those together, when the clients have ended

	closeServers func()

	counts counts
}

// counts are what has happened, of all settings.
type counts struct {
	fileBytes, streamBytes         atomic.Uint64 // that were compared with what they have to be
	cancelled, deadlines, doubts   atomic.Uint64
	reopened, connections, refused atomic.Uint64
	datagramsLate                  atomic.Uint64
	signalsSent, signalsReceived   atomic.Uint64
	disabled                       atomic.Uint64
}

// soakFor does it all, and reports whether all was well.
func soakFor(o options) (good bool, failed error) {
	s := &soak{o: o, out: os.Stdout, serving: pulse{name: "servers"}, ready: make(chan struct{}), stop: make(chan struct{}), interrupted: make(chan struct{})}
	s.problems.out = os.Stdout
	s.mistake.name = o.mistake
	var err error
	if s.dir, err = makeDirectory(o.dir); err != nil {
		return false, err
	}
	defer func() { failed = errors.Join(failed, s.dir.remove()) }()
	s.heedInterrupts()
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
	good = s.report()
	if s.wasInterrupted() {
		return false, errInterrupted
	}
	return good, nil
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
	p := &pulse{name: name}
	s.dog.add(p)
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

// end waits for everybody. The servers that are left are looked after together.
func (s *soak) end(back chan<- struct{}) {
	s.workers.Wait()
	s.dog.add(&s.serving)
	s.closeServers()
	s.servers.Wait()
	close(back)
}

// watch waits until the time is over and everybody has come back, prints a line
// now and then, and reports false if somebody hangs.
func (s *soak) watch() bool {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	line := time.NewTicker(s.o.report)
	defer line.Stop()
	over, interrupted := time.After(s.o.time), s.interrupted
	back := make(chan struct{})
	end := func() {
		over, interrupted = nil, nil
		close(s.stop)
		go s.end(back)
	}
	for {
		select {
		case <-over:
			end()
		case <-interrupted:
			end()
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
