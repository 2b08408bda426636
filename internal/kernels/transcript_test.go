package kernels_test

import (
	"strings"
	"testing"

	"github.com/eddyio/eddy/internal/kernels"
)

// said is a console: the kernel's lines, and a suite in which every outcome
// occurs.
const said = `[    1.0] the kernel boots
eddy> fact backend epoll
eddy> begin a
eddy> | ` + "\x16" + `=== RUN   TestPasses
eddy> | ` + "\x16" + `--- PASS: TestPasses (0.01s)
eddy> | ` + "\x16" + `=== RUN   TestSkips
eddy> |     a_test.go:7: for a reason
eddy> | ` + "\x16" + `--- SKIP: TestSkips (0.00s)
eddy> | ` + "\x16" + `=== RUN   TestParent
eddy> | ` + "\x16" + `=== RUN   TestParent/good
eddy> | no newline` + "\x16" + `=== RUN   TestParent/bad
eddy> |     a_test.go:9: wrong
eddy> | ` + "\x16" + `--- FAIL: TestParent (0.00s)
eddy> | ` + "\x16" + `    --- PASS: TestParent/good (0.00s)
eddy> | ` + "\x16" + `    --- FAIL: TestParent/bad (0.00s)
eddy> | ` + "\x16" + `=== RUN   TestHangs
eddy> | panic: test timed out
eddy> end a exit status 2
eddy> done `

func read(text string) *kernels.Transcript {
	t := new(kernels.Transcript)
	for line := range strings.Lines(text) {
		t.Line(line + "\r")
	}
	return t
}

func names(tests []*kernels.Test) string {
	var list []string
	for _, test := range tests {
		list = append(list, test.Name)
	}
	return strings.Join(list, " ")
}

func TestOutcomeIsLostOrCountedTwice(t *testing.T) {
	r := read(said)
	for outcome, want := range map[kernels.Outcome]string{
		kernels.Passed:     "TestPasses TestParent/good",
		kernels.Skipped:    "TestSkips",
		kernels.Failed:     "TestParent/bad",
		kernels.Unfinished: "TestHangs",
	} {
		if got := names(r.With(outcome)); got != want {
			t.Errorf("%s: %s, want %s", outcome, got, want)
		}
	}
	if reason := r.With(kernels.Skipped)[0].Reason(); reason != "for a reason" {
		t.Errorf("the reason is %q", reason)
	}
	if !r.Done || r.Facts["backend"] != "epoll" || len(r.Suites) != 1 || r.Suites[0].Status != "exit status 2" {
		t.Errorf("%+v", r)
	}
}

func TestParentThatFailsByItselfIsLost(t *testing.T) {
	r := read(strings.ReplaceAll(said, "FAIL: TestParent/bad", "PASS: TestParent/bad"))
	if got := names(r.With(kernels.Failed)); got != "TestParent" {
		t.Errorf("failed: %s", got)
	}
}

func TestBootThatStopsIsTakenForDone(t *testing.T) {
	text, _, _ := strings.Cut(said, "eddy> end")
	if r := read(text); r.Done || r.Suites[0].Status != "" || len(r.LastWords()) != 1 {
		t.Errorf("%+v", r)
	}
}

// again is a suite with two failed tests that are run again: one passes, one
// does not.
const again = `eddy> list a TestFlaps
eddy> list a TestFails
eddy> list a TestOther
eddy> begin a
eddy> | ` + "\x16" + `=== RUN   TestFlaps
eddy> | ` + "\x16" + `=== RUN   TestFlaps/sub
eddy> | ` + "\x16" + `--- FAIL: TestFlaps (0.01s)
eddy> | ` + "\x16" + `    --- FAIL: TestFlaps/sub (0.01s)
eddy> | ` + "\x16" + `=== RUN   TestFails
eddy> | ` + "\x16" + `--- FAIL: TestFails (0.01s)
eddy> end a exit status 1
eddy> again a TestFlaps
eddy> | ` + "\x16" + `=== RUN   TestFlaps
eddy> | ` + "\x16" + `=== RUN   TestFlaps/sub
eddy> | ` + "\x16" + `--- PASS: TestFlaps (0.01s)
eddy> | ` + "\x16" + `    --- PASS: TestFlaps/sub (0.01s)
eddy> end a ok
eddy> again a TestFails
eddy> | ` + "\x16" + `=== RUN   TestFails
eddy> |     a_test.go:9: wrong again
eddy> | ` + "\x16" + `--- FAIL: TestFails (0.01s)
eddy> end a exit status 1
eddy> done `

func TestSecondRunHidesFailure(t *testing.T) {
	r := read(again)
	if got := names(r.With(kernels.Again)); got != "TestFlaps/sub" {
		t.Errorf("passed when run again: %s", got)
	}
	failed := r.With(kernels.Failed)
	if names(failed) != "TestFails" || !strings.Contains(strings.Join(failed[0].Output, "\n"), "wrong again") {
		t.Errorf("failed: %s", names(failed))
	}
	if r.Count(kernels.Passed) != 0 || len(r.Suites) != 1 || r.Suites[0].Status != "exit status 1" || len(r.Listed["a"]) != 3 {
		t.Errorf("%+v", r)
	}
	// What dies in its second run has not passed, nor what was not run at all.
	for _, change := range []struct{ from, to string }{
		{"eddy> end a ok", "eddy> end a exit status 2"},
		{"TestFlaps (0.01s)\neddy> | \x16    --- PASS: TestFlaps/sub (0.01s)\neddy> end a ok", "TestNothing (0.01s)\neddy> end a ok"},
		{"PASS: TestFlaps (", "SKIP: TestFlaps ("},
	} {
		changed := strings.Replace(again, change.from, change.to, 1)
		if changed == again {
			t.Fatalf("%q does not occur", change.from)
		}
		if r := read(changed); r.Count(kernels.Again) != 0 || names(r.With(kernels.Failed)) != "TestFlaps/sub TestFails" {
			t.Errorf("%s: %s", change.to, names(r.With(kernels.Again)))
		}
	}
}
