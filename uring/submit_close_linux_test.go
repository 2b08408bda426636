package uring_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// Submit that says "1, nil" has handed the entry to the kernel, which then
// writes the byte at once (a pipe with room).
func TestSubmitDuringCloseSaysWhatIsNotSo(t *testing.T) {
	newRing(t, 4, uring.Config{}) // or there is none, and nothing to test
	for end, round := time.Now().Add(2*time.Second), 0; time.Now().Before(end) && !t.Failed(); round++ {
		var p [2]int
		fatalIf(t, unix.Pipe2(p[:], unix.O_NONBLOCK))
		r, err := uring.New(4, uring.Config{})
		fatalIf(t, err)
		b := []byte{1}
		var pin runtime.Pinner
		pin.Pin(&b[0])
		r.Next().PrepWrite(p[1], b, uring.CurrentPosition)
		start := make(chan struct{})
		closed := make(chan struct{})
		go func() { <-start; r.Close(); close(closed) }()
		close(start)
		for range round % 400 {
		}
		n, err := r.Submit()
		<-closed
		if n == 1 && err == nil {
			got, rerr := unix.Read(p[0], make([]byte, 1))
			if got != 1 {
				t.Errorf("round %d: Submit returned 1, nil, but the pipe has %d, %v", round, got, rerr)
			}
		}
		pin.Unpin()
		unix.Close(p[0])
		unix.Close(p[1])
	}
}
