package eddy

import (
	"fmt"
	"strings"

	"github.com/eddyio/eddy/driver"
)

// Fallback is something that was wanted and could not be had, with the reason
// in a word, what was seen, and what the kernel answered.
type Fallback = driver.Fallback

// Status tells what a driver uses, and why it does not use more.
type Status struct {
	Backend   Backend           // in use at this moment; never BackendAuto
	Submit    driver.SubmitMode // never SubmitAuto where a ring is in use
	Kernel    string            // the release that uname(2) gives
	Fallbacks []Fallback        // empty if everything wanted was to be had
}

// Status tells what the driver uses. It sets the ring up if nothing has done so
// yet.
func (d *Driver) Status() Status {
	s := d.system.status(d)
	if d.ringDisabled() {
		s.Backend, s.Submit = BackendEpoll, driver.SubmitAuto
	}
	s.Fallbacks = append(append([]Fallback(nil), d.notes...), s.Fallbacks...)
	return s
}

// String is one line, and one more for each fallback.
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
	return Fallback{Wanted: "another backend than portable", Reason: "unavailable", Err: err}
}
