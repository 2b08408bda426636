package eddy_test

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"testing"
	"time"
)

// checkLeaks fails the test if, when all its other clean-ups are done, the
// process has other descriptors or more goroutines than now.
func checkLeaks(t testing.TB) {
	t.Helper()
	goroutines, fds := runtime.NumGoroutine(), descriptors()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for {
			nowGoroutines, nowFds := runtime.NumGoroutine(), descriptors()
			if nowGoroutines <= goroutines && maps.Equal(fds, nowFds) {
				return
			}
			if time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
				continue
			}
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Errorf("%d goroutines before, %d now; descriptors before: %v, now: %v\n%s",
				goroutines, nowGoroutines, fds, nowFds, stacks)
			return
		}
	})
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
