//go:build linux && mistakes

package driver_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExplorerCatchesEveryMistake makes the mistakes of testdata/mistakes, one
// at a time, in a copy of the module, and wants the explorer to find each. With
// EDDY_MISTAKES set to a file's name it writes there what was found, as the rows
// of a table.
//
// It compiles the package once for each mistake, which is why it has a build tag
// of its own.
func TestExplorerCatchesEveryMistake(t *testing.T) {
	patches, err := filepath.Glob("testdata/mistakes/*.patch")
	if err != nil || len(patches) < 24 {
		t.Fatalf("%d mistakes: %v", len(patches), err)
	}
	module := copyModule(t)
	if _, out := exploreIn(t, module, ""); !strings.HasPrefix(out, "ok") {
		t.Fatalf("the explorer fails without a mistake:\n%s", out)
	}
	var rows strings.Builder
	for _, p := range patches {
		name := strings.TrimSuffix(filepath.Base(p), ".patch")
		path, err := filepath.Abs(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			breaks, rest, _ := strings.Cut(string(text), "\n")
			run(t, module, "git", "apply", path)
			defer run(t, module, "git", "apply", "-R", path)
			var found *finding
			var out string
			if hint, _, _ := strings.Cut(rest, "\n"); strings.HasPrefix(hint, lookIn) {
				found, out = exploreIn(t, module, strings.TrimPrefix(hint, lookIn))
			}
			if found == nil {
				found, out = exploreIn(t, module, "")
			}
			if found == nil {
				t.Fatalf("not caught:\n%s", out)
			}
			t.Logf("%s, after %s states of %q, by\n%s", found.what, found.states, found.scenario, found.schedule)
			fmt.Fprintf(&rows, "| `%s` | %s | %s | %s: %s | %s |\n", name, breaks, found.what, found.scenario, found.schedule, found.states)
		})
	}
	if to := os.Getenv("EDDY_MISTAKES"); to != "" {
		if err := os.WriteFile(to, []byte(rows.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// finding is what the explorer prints when something is broken.
type finding struct{ scenario, what, states, schedule string }

var (
	scenarioLine = regexp.MustCompile(`(?m)^ *--- FAIL: TestExplore[A-Za-z]*/(\S+)`)
	brokenLines  = regexp.MustCompile(`(?m)^ *\w+_test\.go:\d+: (.*)\n +after (\d+) states, by this schedule:\n((?: {10}.*\n)*)`)
	endlessLine  = regexp.MustCompile(`(?m)^ *\w+_test\.go:\d+: (no schedule comes to an end.*)$`)
)

// lookIn begins the second line of a mistake: the scenario to begin with, which
// is where it was found the last time.
const lookIn = "Look in: "

// exploreIn runs the explorer in a copy of the module, on one scenario or, if
// that is empty, on all. A failure that is not
// the explorer's finding, such as code that does not compile, is none.
func exploreIn(t *testing.T, module, only string) (*finding, string) {
	t.Helper()
	which := "^TestExplore(EverySchedule|Readiness)$"
	if only != "" {
		which += "/^" + strings.ReplaceAll(only, " ", "_") + "$"
	}
	cmd := exec.Command("go", "test", "-tags", "explore", "-run", which, "-failfast", "-count=1", "-vet=off", "-timeout", "5m", "./driver")
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if only != "" {
		cmd.Env = append(cmd.Env, "EDDY_EXPLORE=all") // it may be one of the long ones
	}
	bytes, err := cmd.CombinedOutput()
	out := string(bytes)
	scenario, broken := scenarioLine.FindStringSubmatch(out), brokenLines.FindStringSubmatch(out)
	switch {
	case err == nil:
		return nil, out
	case scenario != nil && broken != nil:
		steps := strings.Split(strings.TrimSpace(broken[3]), "\n")
		for i := range steps {
			steps[i] = strings.TrimSpace(steps[i])
		}
		return &finding{strings.ReplaceAll(scenario[1], "_", " "), broken[1], broken[2], strings.Join(steps, "; ")}, out
	case scenario != nil && endlessLine.MatchString(out):
		return &finding{strings.ReplaceAll(scenario[1], "_", " "), endlessLine.FindStringSubmatch(out)[1], "all", "all"}, out
	}
	return nil, out
}

// copyModule copies what the explorer needs. The tests from outside of the
// package, this one among them, would only be compiled over and over.
func copyModule(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "driver", "uring", "poll", "probe", "internal"} {
		run(t, "..", "cp", "-r", name, to)
	}
	tests, err := filepath.Glob(filepath.Join(to, "driver", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tests {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\npackage driver_test\n") || strings.HasPrefix(string(text), "package driver_test\n") {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

func run(t *testing.T, dir string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
