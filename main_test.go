package eddy_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// roleVariable makes the test binary play a part in another process instead of
// running tests.
const roleVariable = "EDDY_TEST_ROLE"

// roles are the parts, by name. One that fails says so and exits with 3.
var roles = map[string]func() error{}

// endRole ends the process if the part has failed.
func endRole(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
}

// inRole is a process that plays a part, with these variables besides the test's own.
func inRole(role string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role), env...)
	return cmd
}

// plays fails the test if the part, played in another process, does not end well. It
// returns what that has said.
func plays(t *testing.T, role string, env ...string) string {
	t.Helper()
	out, err := inRole(role, env...).CombinedOutput()
	if err != nil {
		t.Errorf("%s, %q: %v\n%s", role, env, err, out)
	}
	return string(out)
}

func TestMain(m *testing.M) {
	if name := os.Getenv(roleVariable); name != "" {
		role, ok := roles[name]
		if !ok {
			println("no such role:", name)
			os.Exit(2)
		}
		endRole(role())
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
