package eddy_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// Who shuts a driver down while somebody else does, and waits, waits no longer than
// their own context.
func TestSecondShutdownIgnoresItsContext(t *testing.T) {
	checkLeaks(t)
	d := newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
	fifo := makeFIFO(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := d.OpenFileContext(ctx, fifo, os.O_RDONLY, 0) // open(2) goes on in a goroutine
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	patient, give := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() { first <- d.Shutdown(patient) }()
	time.Sleep(100 * time.Millisecond)
	second := make(chan error, 1)
	go func() { second <- d.Close() }() // one second
	select {
	case err := <-second:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
	case <-time.After(3 * time.Second):
		t.Error("Close has not returned after 3 s")
	}
	give()
	var stuck *eddy.ShutdownError
	if err := <-first; !errors.As(err, &stuck) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := d.Close(); !errors.As(err, &stuck) {
		t.Errorf("Close after Shutdown: %v", err)
	}
	w, err := os.OpenFile(fifo, os.O_RDWR, 0) // lets open(2) end
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}
