package eddy_test

import (
	"strings"
	"testing"

	"github.com/eddyio/eddy"
)

// Whoever wonders why there is no ring has to be sent to the environment, if that
// is where it was switched off.
func TestStatusDoesNotNameTheEnvironment(t *testing.T) {
	for _, set := range []string{"", "epoll"} {
		t.Setenv("EDDY_BACKEND", set)
		cfg := eddy.Config{}
		if set == "" {
			cfg.Backend = eddy.BackendEpoll
		}
		d := newDriver(t, cfg)
		if s := d.Status().String(); strings.Contains(s, "EDDY_BACKEND=epoll") != (set != "") {
			t.Errorf("EDDY_BACKEND=%q: %s", set, s)
		}
		shutdown(t, d)
	}
}
