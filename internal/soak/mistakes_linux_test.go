//go:build mistakes

package main

import (
	"bufio"
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
	// 1 is its own verdict, 2 the runtime's.
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1 && exit.ExitCode() != 2) {
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

func TestInterruptedSoakLeavesFiles(t *testing.T) {
	for _, times := range []int{1, 2} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-dir", dir, "-time", "5m", "-report", "100ms", "-files", "16", "-sockets", "50")
		cmd.Env = append(os.Environ(), asProgram+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			// First while it runs, then when it has said that it ends.
			if text := lines.Text(); times > 0 && (strings.Contains(text, "file ops") || strings.Contains(text, "once more")) {
				times--
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
		}
		if cmd.Wait() == nil {
			t.Error("an interrupted soak has passed")
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
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
		"leak-mapping":    "mappings of rings",
		"leak-pin":        "runtime.Pinner: found leaking pinned pointer",
		"repeat-datagram": "datagram twice",
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
