package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/eddyio/eddy"
)

// signalReceiver counts the signals that one Signals has received.
type signalReceiver struct {
	set      *setting
	signals  *eddy.Signals
	received atomic.Uint64
}

// startSignals has each setting's driver receive SIGUSR1, and somebody send it.
func (s *soak) startSignals() error {
	var receivers []*signalReceiver
	for i, set := range s.settings {
		signals, err := set.d.Signals(syscall.SIGUSR1)
		if err != nil {
			return err
		}
		r := &signalReceiver{set: set, signals: signals}
		receivers = append(receivers, r)
		s.servers.Go(func() { s.receiveSignals(r, rand.New(rand.NewPCG(s.o.seed, 3<<32|uint64(i)))) })
	}
	closeServers := s.closeServers
	s.closeServers = func() {
		closeServers()
		for _, r := range receivers {
			if err := r.signals.Close(); err != nil {
				s.add("unexpected error", "%s: close of signals: %v", r.set.name, err)
			}
		}
	}
	s.worker("signals", func(p *pulse) { s.sendSignals(p, receivers) })
	return nil
}

func (s *soak) receiveSignals(r *signalReceiver, rng *rand.Rand) {
	for {
		e := randomEnding(rng, 20*time.Millisecond)
		sig, err := r.signals.Recv(e.ctx)
		e.cancel()
		switch {
		case err == nil && sig == syscall.SIGUSR1:
			if s.mistake.loseSignal() {
				continue
			}
			r.received.Add(1)
			s.counts.signalsReceived.Add(1)
		case err == nil:
			s.add("unexpected error", "%s: received %v, which nobody sent", r.set.name, sig)
		case e.ctx.Err() != nil && errors.Is(err, e.ctx.Err()):
		case errors.Is(err, fs.ErrClosed) && s.stopping():
			return
		default:
			s.add("unexpected error", "%s: signals: %v", r.set.name, err)
			return
		}
	}
}

// sendSignals sends one, or a few that may be taken for one, and waits until
// everybody has received something that was sent after what came before.
func (s *soak) sendSignals(p *pulse, receivers []*signalReceiver) {
	rng := rand.New(rand.NewPCG(s.o.seed, 4<<32))
	seconds := patience
	if s.o.mistake == "lose-signal" {
		seconds = s.mistake.patience(patience)
	}
	var sent uint64
	seen := make([]uint64, len(receivers))
	for !s.stopping() {
		p.beat()
		s.pause(time.Duration(5+rng.IntN(50)) * time.Millisecond) // what has come late is counted by then
		for i, r := range receivers {
			seen[i] = r.received.Load()
		}
		for range 1 + rng.IntN(2)*rng.IntN(5) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
				s.add("unexpected error", "kill: %v", err)
				return
			}
			sent++
			s.counts.signalsSent.Add(1)
		}
		for i, r := range receivers {
			if !awaitMore(&r.received, seen[i], seconds) {
				s.add("lost signal", "%s: %d were sent, %d received, and the last is missing", r.set.name, sent, r.received.Load())
			}
			if n := r.received.Load(); n > sent {
				s.add("signals from nowhere", "%s: %d were sent, %d received", r.set.name, sent, n)
			}
		}
	}
}

// awaitMore waits until the counter is above a number.
func awaitMore(counter *atomic.Uint64, seen uint64, seconds int) bool {
	limit, cancel := patient(seconds)
	defer cancel()
	for counter.Load() <= seen {
		if limit.Err() != nil {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// awaitSignals receives whatever comes until the driver is shut down.
func awaitSignals(d *eddy.Driver) error {
	signals, err := d.Signals(syscall.SIGUSR1, syscall.SIGUSR2)
	if err != nil {
		return fmt.Errorf("signals: %w", err)
	}
	for {
		if _, err := signals.Recv(context.Background()); err != nil {
			if closeErr := signals.Close(); closeErr != nil {
				return closeErr
			}
			return err
		}
	}
}
