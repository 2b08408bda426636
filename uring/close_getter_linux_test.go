package uring_test

import (
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
)

// What may be called concurrently does not look at memory that Close has unmapped: a
// fault is the end of the process, for which this one is started again. It takes luck
// to see it: a minute with EDDY_TEST_LONG=1.
func TestGetterFaultsDuringClose(t *testing.T) {
	newRing(t, 4, uring.Config{}) // or there is none, and nothing to test
	const variable = "EDDY_TEST_GETTER"
	getter := os.Getenv(variable)
	if getter == "" {
		for _, which := range []string{"Completions", "Overflowed", "NeedsTaskrun"} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestGetterFaultsDuringClose$")
			cmd.Env = append(os.Environ(), variable+"="+which)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s during Close: %v\n%.600s", which, err, out)
			}
		}
		return
	}
	length := 500 * time.Millisecond
	if os.Getenv("EDDY_TEST_LONG") != "" {
		length = 20 * time.Second
	}
	var current atomic.Pointer[uring.Ring]
	calls := map[string]func(*uring.Ring){
		"Completions":  func(r *uring.Ring) { r.Completions() },
		"Overflowed":   func(r *uring.Ring) { r.Overflowed() },
		"NeedsTaskrun": func(r *uring.Ring) { r.NeedsTaskrun() },
	}
	call := calls[getter]
	for range 3 {
		go func() {
			for {
				for range 100 {
					if r := current.Load(); r != nil {
						call(r)
					}
				}
				runtime.Gosched() // an emulator may not preempt
			}
		}()
	}
	for end := time.Now().Add(length); time.Now().Before(end); {
		r, err := uring.New(4, uring.Config{})
		fatalIf(t, err)
		current.Store(r)
		for range 100 { // a moment
		}
		fatalIf(t, r.Close())
	}
}
