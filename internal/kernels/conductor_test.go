package kernels_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eddyio/eddy/internal/kernels"
)

// fakeTests is a test binary: TestB fails, and passes when it is run alone, as
// TestNext does; how the first run goes on is up to the test.
const fakeTests = `#!/bin/sh
passes() { printf '\026=== RUN   %s\n\026--- PASS: %s (0.00s)\n\026PASS\n' $1 $1; exit 0; }
case "$*" in
*-test.list*) echo TestA; echo TestB; echo "ok some/package 0.1s"; exit;;
*-test.run=^TestB\$*) passes TestB;;
*-test.run=^TestNext\$*) passes TestNext;;
*^TestB\$*) passes TestLast;;
esac
printf '\026=== RUN   TestB\n'
echo "called with $*"
printf '\026--- FAIL: TestB (0.00s)\n'
`

func conduct(t *testing.T, rest string) *kernels.Transcript {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("SKIPPED: no shell")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "a.test"), []byte(fakeTests+rest+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var heard kernels.Transcript
	kernels.Conductor{
		Tests:       dir,
		Environment: os.Environ(),
		Say:         func(word, text string) { heard.Line(kernels.Prefix + word + " " + text) },
		After:       func() {},
	}.Run(kernels.Plan{Suites: []kernels.Suite{{
		Name: "a", Pattern: "B", Skip: []string{"TestX", "TestY/z"}, Timeout: 80 * time.Second,
	}}})
	return &heard
}

func TestFailureIsNotRunAgain(t *testing.T) {
	heard := conduct(t, "exit 1")
	if len(heard.Tests) != 1 || heard.Tests[0].Outcome != kernels.Again {
		t.Fatalf("%+v", heard)
	}
	const want = "called with -test.v=test2json -test.short -test.timeout=1m10s -test.run=B -test.skip=^TestX$|^TestY$/^z$"
	if !slices.Equal(heard.Tests[0].Output, []string{want}) {
		t.Errorf("%q\nwant %q", heard.Tests[0].Output, want)
	}
	if !slices.Equal(heard.Listed["a"], []string{"TestA", "TestB"}) {
		t.Errorf("listed: %q", heard.Listed)
	}
}

// TestDeathOfSuiteIsForgivenOrHidesItsRest: what the dead binary has not begun is
// run; but what it has done before is no better for that.
func TestDeathOfSuiteIsForgivenOrHidesItsRest(t *testing.T) {
	const begun = `printf '\026=== RUN   TestNext\n'; `
	for rest, want := range map[string]string{
		"exit 2":                        "TestB failed, TestLast passed",
		begun + "echo panic: x; exit 2": "TestB failed, TestNext unfinished, TestLast passed",
		begun + "kill -9 $$":            "TestB failed, TestNext unfinished, TestLast passed",
		"echo found leaking pinned pointer; exit 2":         "TestB passed when run again, TestLast passed",
		begun + "echo found leaking pinned pointer; exit 2": "TestB passed when run again, TestNext passed when run again, TestLast passed",
	} {
		heard := conduct(t, rest)
		var got []string
		for _, test := range heard.Tests {
			got = append(got, test.Name+" "+string(test.Outcome))
		}
		if strings.Join(got, ", ") != want || len(heard.Suites) != 2 || heard.Suites[0].Status == "ok" || heard.Suites[1].Status != "ok" {
			t.Errorf("%s: %s, %d runs, want %s", rest, got, len(heard.Suites), want)
		}
	}
}
