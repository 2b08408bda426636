package eddy_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// The race detector reports what it reports of std's connections, and nothing
// else: a user's race on a buffer that is in flight, but no race between what
// happened before a Write and what happens after the Read of it.
func TestRaceDetectorIsBlindOrWrong(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	program := filepath.Join(t.TempDir(), "race")
	build := exec.Command("go", "build", "-race", "-o", program, "./testdata/race")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: the race detector cannot be built here: %v\n%s", err, out)
	}
	reports := func(backend, world, deed string) bool {
		t.Helper()
		cmd := exec.Command(program, world, deed)
		cmd.Env = append(os.Environ(), "GORACE=exitcode=66 atexit_sleep_ms=0")
		if backend != "auto" {
			cmd.Env = append(cmd.Env, "EDDY_BACKEND="+backend)
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return false
		case errors.As(err, &exit) && exit.ExitCode() == 66 && bytes.Contains(out, []byte("WARNING: DATA RACE")):
			return true
		}
		t.Fatalf("%s %s: %v\n%s", world, deed, err, out)
		return false
	}
	for _, s := range settings(t) {
		if s.name == "uring-thread" {
			continue // as far as sockets go like uring-shared
		}
		t.Run(s.name, func(t *testing.T) {
			needRing(t, s)
			for deed, want := range map[string]bool{
				"touch-during-read":  true,
				"touch-during-write": true,
				"two-reads":          true,
				"ordered":            false,
				"ordered-buffers":    false,
				"ordered-context":    false,
				"ordered-reuse":      false,
			} {
				std, got := reports(s.backend, "std", deed), reports(s.backend, "eddy", deed)
				// Where std's report is false, as it is after net.Buffers, eddy's may be.
				if got != want && (want || !std) {
					t.Errorf("%s: reported is %v, with std %v", deed, got, std)
				}
				if want && !std {
					t.Errorf("%s: not reported with std: the deed is none", deed)
				}
			}
		})
	}
}
