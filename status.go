package eddy

import (
	"fmt"
	"strings"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/probe"
)

// A Fallback describes something that the driver wanted to use and could not:
// the reason in one word, the evidence, and the kernel's error, if there was
// one.
type Fallback = driver.Fallback

// Status says which backend a driver uses, and why it does not use a better
// one.
type Status struct {
	Backend   Backend           // in use at this moment; never BackendAuto
	Submit    driver.SubmitMode // meaningful if a ring is in use; then never SubmitAuto
	Kernel    string            // the release that uname(2) reports; "" if unknown
	Fallbacks []Fallback        // what was wanted and is not available; empty if everything is
}

// Status reports which backend the driver uses, and why not a better one. It
// sets up the ring if nothing has done so yet.
func (d *Driver) Status() Status {
	s := Status{Backend: d.backend, Kernel: probe.Get().Kernel}
	d.system.status(&s)
	if d.ringDisabled() {
		s.Backend, s.Submit = BackendEpoll, driver.SubmitAuto
	}
	s.Fallbacks = append(append([]Fallback(nil), d.notes...), s.Fallbacks...)
	return s
}

// String returns one line for the backend, and one more line for each fallback.
func (s Status) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "backend %v", s.Backend)
	if s.Backend == BackendURing {
		fmt.Fprintf(&b, ", submit mode %v", s.Submit)
	}
	if s.Kernel != "" {
		fmt.Fprintf(&b, ", kernel %s", s.Kernel)
	}
	for _, f := range s.Fallbacks {
		fmt.Fprintf(&b, "\nno %s: %s", f.Wanted, f.Reason)
		if f.Err != nil {
			fmt.Fprintf(&b, " (%v)", f.Err)
		}
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "; %s", e)
		}
	}
	return b.String()
}

// fallbackFrom tells of a backend that New refused.
func fallbackFrom(err error) Fallback {
	return Fallback{Wanted: "the requested backend", Reason: "unavailable", Err: err}
}
