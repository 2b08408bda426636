package eddy_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/eddyio/eddy/internal/leaktest"
)

// checkLeaks fails the test if, when all its other clean-ups are done, the
// process has other descriptors or goroutines than now.
func checkLeaks(t testing.TB) {
	t.Helper()
	leaktest.Check(t)
}

// descriptors are those that are open, with what they are. It is empty where
// /proc is not.
func descriptors() map[string]string {
	all := map[string]string{}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return all
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return all
	}
	for _, name := range names {
		if name == fmt.Sprint(dir.Fd()) {
			continue
		}
		if to, err := os.Readlink("/proc/self/fd/" + name); err == nil {
			all[name] = to
		}
	}
	return all
}
