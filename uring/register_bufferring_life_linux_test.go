package uring_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestCloseUnmapsBufferRingOfRunningUnregister stops UnregisterBufferRing
// between the kernel's answer and the unmapping. As long as it is there the
// ring must not be destroyed: Close would unmap the same memory, and one of the
// two would hit whatever the process has mapped there meanwhile.
func TestCloseUnmapsBufferRingOfRunningUnregister(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	b, err := r.RegisterBufferRing(4, 100, 0)
	orSkip(t, "RegisterBufferRing", err)
	if _, err := b.Head(); errors.Is(err, unix.EINVAL) {
		skipKernel(t, "the kernel does not say which groups it has: %v", err)
	}
	goOn := r.HoldResources()
	unregistered := make(chan error, 1)
	go func() { unregistered <- r.UnregisterBufferRing(b) }()
	for {
		if _, err := b.Head(); err != nil {
			break // the kernel has let it go
		}
		runtime.Gosched()
	}
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); runtime.Gosched() {
		if r.CallsInFlight() == 0 {
			goOn()
			t.Fatal("Close may destroy the ring while UnregisterBufferRing is at work")
		}
	}
	fatalIf(t, r.Close()) // with the call in flight it destroys nothing, and does not wait
	goOn()
	fatalIf(t, <-unregistered)
	wantErr(t, "after Close", r.UnregisterBufferRing(b), uring.ErrClosed)
}

// TestUnregisterLosesNewRingOfSameGroup: the group is free before
// UnregisterBufferRing has returned, and another goroutine may take it.
func TestUnregisterLosesNewRingOfSameGroup(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	old, err := r.RegisterBufferRing(4, 100, 0)
	orSkip(t, "RegisterBufferRing", err)
	now, err := r.RegisterBufferRing(4, 101, 0)
	fatalIf(t, err)
	r.TakeGroup(now, old.Group()) // as if it had been registered in that moment
	fatalIf(t, r.UnregisterBufferRing(old))
	if !r.Keeps(now) {
		t.Error("the ring has forgotten the new one, and would not free it")
	}
}
