package poll_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy/poll"
	"golang.org/x/sys/unix"
)

func TestWakesBeforeAPollMakeOneEvent(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 3)
	woken := poll.Event{Token: 3, Ready: poll.ReadyReadable}
	expect(t, p)
	for range 100 {
		if err := w.Wake(); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, p, woken)
	expect(t, p)
	w.Wake() // nothing was drained in between
	expect(t, p, woken)
	expect(t, p)
}

func TestTwoWakersAreToldApart(t *testing.T) {
	p := newPoll(t)
	newWaker(t, p, 1)
	b := newWaker(t, p, 2)
	b.Wake()
	expect(t, p, poll.Event{Token: 2, Ready: poll.ReadyReadable})
}

// TestNoWakeIsLost alternates a Poll that waits for ever with wake-ups from other
// goroutines; one that is lost leaves it hanging.
func TestNoWakeIsLost(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 1)
	const rounds, goroutines = 2000, 4
	var mu sync.Mutex
	posted := 0
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range rounds {
				mu.Lock()
				posted++
				mu.Unlock()
				if err := w.Wake(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan error, 1)
	go func() {
		found := poll.NewEvents(1)
		for taken := 0; taken < rounds*goroutines; {
			if err := p.Poll(found, -1); err != nil {
				done <- err
				return
			}
			mu.Lock()
			taken += posted
			posted = 0
			mu.Unlock()
		}
		done <- nil
	}()
	all.Wait()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("a wake-up was lost")
	}
}

func TestWakeEndsABlockedPoll(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 1)
	done := make(chan error)
	go func() { done <- p.Poll(poll.NewEvents(1), -1) }()
	waitUntilBlocked(t)
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the Poll was not woken")
	}
}

// TestWakeSurvivesAFullCounter puts the counter where 2^64-2 wake-ups would.
func TestWakeSurvivesAFullCounter(t *testing.T) {
	p := newPoll(t)
	w := newWaker(t, p, 1)
	var full [8]byte
	binary.NativeEndian.PutUint64(full[:], math.MaxUint64-1)
	if _, err := unix.Write(w.PollFd(), full[:]); err != nil {
		t.Fatal(err)
	}
	woken := poll.Event{Token: 1, Ready: poll.ReadyReadable}
	expect(t, p, woken)
	for range 2 {
		if err := w.Wake(); err != nil {
			t.Fatal(err)
		}
		expect(t, p, woken)
	}
}

func TestClosedWakerRefuses(t *testing.T) {
	p := newPoll(t)
	w, err := poll.NewWaker(p.Registry(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Wake()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, p)
	if err := w.Wake(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Wake after Close: %v", err)
	}
	if err := w.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

// TestWakeAndCloseRace: a Wake that lost the number to a Close would write into
// whatever file has it next.
func TestWakeAndCloseRace(t *testing.T) {
	p := newPoll(t)
	for range 200 {
		w, err := poll.NewWaker(p.Registry(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for {
					err := w.Wake()
					if errors.Is(err, os.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		closed := make(chan error, 2)
		for range 2 {
			all.Go(func() { closed <- w.Close() })
		}
		all.Wait()
		a, b := <-closed, <-closed
		if (a == nil) == (b == nil) {
			t.Errorf("of two Closes: %v and %v", a, b)
		}
	}
}
