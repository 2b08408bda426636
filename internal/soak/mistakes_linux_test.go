//go:build mistakes

package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// asProgram makes the test binary the program itself.
const asProgram = "EDDY_SOAK_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// soakWith runs a small soak in a process of its own.
func soakWith(t *testing.T, args ...string) (output string, failed bool) {
	t.Helper()
	args = append([]string{"-dir", t.TempDir(), "-files", "16", "-sockets", "50", "-drivers", "1", "-report", "1s"}, args...)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out), err != nil
}

func TestGoodSoakFails(t *testing.T) {
	out, failed := soakWith(t, "-time", "3s")
	// It is too short to judge memory by, and there may be too little of it.
	if failed || !strings.Contains(out, "violations: 0") {
		t.Errorf("it failed:\n%s", out)
	}
}

func TestMistakeIsNotFound(t *testing.T) {
	want := map[string]string{
		"corrupt-file":    "corrupt bytes",
		"corrupt-echo":    "corrupt bytes",
		"touch-buffer":    "written to after its read had returned",
		"leak-descriptor": "leaked descriptor",
		"lose-signal":     "lost signal",
		"forget-driver":   "leaked goroutine",
	}
	for _, mistake := range mistakes {
		if mistake == "leak-memory" {
			continue // it takes minutes; TestLeakOfAHundredBytesPerOperationPasses judges the judge
		}
		t.Run(mistake, func(t *testing.T) {
			if want[mistake] == "" {
				t.Fatal("nobody says how this is found")
			}
			out, failed := soakWith(t, "-time", "3s", "-mistake", mistake)
			if !failed || !strings.Contains(out, want[mistake]) {
				t.Errorf("no %q:\n%s", want[mistake], out)
			}
		})
	}
}
