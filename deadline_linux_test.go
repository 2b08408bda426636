package eddy_test

import (
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

func TestFIFODeadlineDiffersFromOSFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, makeFIFO(t), os.O_RDWR)
		p := make([]byte, 100)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		read := func() error { _, err := f.Read(p); return err }

		must(f.SetReadDeadline(time.Unix(1, 0)))
		if err := read(); !isTimeout(err) {
			t.Errorf("past: %v", err)
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Errorf("a read deadline stops writes: %v", err)
		}
		must(f.SetReadDeadline(time.Time{}))
		if err := read(); err != nil {
			t.Errorf("cleared: %v", err)
		}
		must(f.SetReadDeadline(time.Now().Add(5 * time.Millisecond)))
		if err := read(); !isTimeout(err) {
			t.Errorf("future: %v", err)
		}

		// Moved while somebody waits: nearer, and into the past.
		for _, to := range []time.Duration{time.Millisecond, -time.Hour} {
			must(f.SetReadDeadline(time.Now().Add(time.Hour)))
			got := make(chan error, 1)
			go func() { got <- read() }()
			time.Sleep(2 * time.Millisecond)
			must(f.SetReadDeadline(time.Now().Add(to)))
			select {
			case err := <-got:
				if !isTimeout(err) {
					t.Errorf("moved by %v: %v", to, err)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("a deadline moved by %v while somebody waits is not seen", to)
			}
		}

		// A pipe that is full.
		must(f.SetDeadline(time.Time{}))
		must(f.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)))
		if n, err := f.Write(make([]byte, 1<<20)); n == 0 || n == 1<<20 || !isTimeout(err) {
			t.Errorf("a full pipe: %d, %v", n, err)
		}
	})
}
