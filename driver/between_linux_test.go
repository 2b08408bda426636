package driver_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/poll"
)

// TestNobodyRunsBetweenTwoWakeUps catches a turn that does not say when it has
// woken somebody and has others left, or says so of those whom it has not woken.
func TestNobodyRunsBetweenTwoWakeUps(t *testing.T) {
	var calls []string
	d, err := driver.New(driver.Config{NoRing: true, Between: func(woken, left int) {
		calls = append(calls, fmt.Sprintf("%d of %d", woken, woken+left))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	const readers = 3
	var peers [readers]int
	woken := make(chan struct{}, readers)
	for i := range readers {
		fd, peer := sockets(t)
		peers[i] = peer
		r := watch(t, d.Handle(), fd, poll.Readable)
		go func() {
			r.IO().Wait(driver.Reading)
			woken <- struct{}{}
		}()
		for !r.IO().Readiness().IsAwaited(driver.Reading) {
			runtime.Gosched()
		}
	}
	turn := func(fds ...int) {
		for _, fd := range fds {
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Turn(0); err != nil {
			t.Fatal(err)
		}
	}
	turn(peers[:]...)
	for range readers {
		<-woken
	}
	turn(peers[:]...) // nobody waits now
	if want := []string{"1 of 3", "2 of 3"}; !slices.Equal(calls, want) {
		t.Errorf("called after %q, want %q", calls, want)
	}
}
