//go:build unix

package eddy

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// However often one signal comes while nothing is collected, another is not lost
// over it, and the one counts once. Nothing is collected while the test has the
// lock.
func TestStormOfOneSignalDropsAnother(t *testing.T) {
	for what, wanted := range map[string][]os.Signal{
		"two":       {syscall.SIGUSR1, syscall.SIGUSR2},
		"one twice": {syscall.SIGUSR1, syscall.SIGUSR1, syscall.SIGUSR2},
		"all":       nil,
	} {
		for _, backend := range []Backend{BackendAuto, BackendPortable} {
			t.Run(what+"/"+backend.String(), func(t *testing.T) { stormOfOneSignal(t, backend, wanted) })
		}
	}
}

func stormOfOneSignal(t *testing.T, backend Backend, wanted []os.Signal) {
	d, err := New(Config{Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := d.Signals(wanted...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	witness := make(chan os.Signal, 1)
	signal.Notify(witness, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(witness)
	raise := func(sig syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Error(err)
		}
		<-witness
	}
	d.signals.mu.Lock()
	for range 200 {
		raise(syscall.SIGUSR1)
	}
	raise(syscall.SIGUSR2)
	// Package signal hands out a signal under the lock that this needs.
	signal.Notify(witness, syscall.SIGUSR1)
	d.signals.mu.Unlock()

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	seen := map[os.Signal]int{}
	for seen[syscall.SIGUSR1] == 0 || seen[syscall.SIGUSR2] == 0 {
		sig, err := s.Recv(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", seen, err)
		}
		seen[sig]++
	}
	for sig, n := range seen {
		// One may have been on its way while another was kept.
		if (sig == syscall.SIGUSR1 && n > 2) || (sig == syscall.SIGUSR2 && n > 1) {
			t.Errorf("%v was received %d times", sig, n)
		}
	}
}
