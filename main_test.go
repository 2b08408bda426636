package eddy_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// roleVariable makes the test binary play a part in another process instead of
// running tests.
const roleVariable = "EDDY_TEST_ROLE"

// roles are the parts, by name. Each exits the process.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if name := os.Getenv(roleVariable); name != "" {
		role, ok := roles[name]
		if !ok {
			println("no such role:", name)
			os.Exit(2)
		}
		role()
		os.Exit(0)
	}
	warmUp()
	os.Exit(m.Run())
}

// warmUp makes what Go's runtime makes once and keeps, so that it is not taken
// for a leak: the poller's descriptors, the goroutine that receives signals.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	signal.Stop(c)
}
