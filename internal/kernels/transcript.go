package kernels

import (
	"regexp"
	"strings"
)

// Outcome is how a test ended.
type Outcome string

// The outcomes.
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	Skipped    Outcome = "skipped"
	Unfinished Outcome = "unfinished" // begun, and no word of its end: as bad as failed
	Again      Outcome = "passed when run again"
)

// Test is one test or subtest.
type Test struct {
	Suite   string
	Name    string
	Outcome Outcome
	Output  []string // what it logged
	parent  bool     // it has subtests
}

// SuiteEnd is how a test binary ended.
type SuiteEnd struct {
	Suite  string
	Status string   // "ok", or what went wrong; "" if it did not end
	Output []string // what belongs to no test, and everything after a panic
}

// Transcript is what a guest said. Feed it the lines of the console, in order.
type Transcript struct {
	Facts  map[string]string
	Tests  []*Test
	Suites []*SuiteEnd
	Kernel []string            // warnings
	Errors []string            // of the init program
	Listed map[string][]string // the tests of suites that are not run as a whole
	Done   bool

	suite   *SuiteEnd
	again   *rerun // that is under way
	current *Test
	byName  map[string]*Test // of the suite
	raw     []string         // the last lines that are not the init program's
}

// marker is what a test binary puts before its own lines with
// -test.v=test2json, so that they are told from what a test prints.
const marker = "\x16"

var outcomes = map[string]Outcome{"PASS": Passed, "FAIL": Failed, "SKIP": Skipped}

var resultLine = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \([0-9.]+s\)$`)

// Line takes a line of the console.
func (t *Transcript) Line(line string) {
	word, rest, ours := cutLine(strings.TrimRight(line, "\r\n"))
	if !ours {
		t.raw = append(t.raw, line)
		t.raw = t.raw[max(0, len(t.raw)-100):]
		return
	}
	switch word {
	case WordFact:
		name, text, _ := strings.Cut(rest, " ")
		if t.Facts == nil {
			t.Facts = map[string]string{}
		}
		t.Facts[name] = text
	case WordBegin:
		t.Begin(rest)
	case WordList:
		suite, name, _ := strings.Cut(rest, " ")
		if t.Listed == nil {
			t.Listed = map[string][]string{}
		}
		t.Listed[suite] = append(t.Listed[suite], name)
	case WordAgain:
		suite, name, _ := strings.Cut(rest, " ")
		t.again = &rerun{suite: suite, name: name}
		t.again.heard.Begin(suite)
	case WordOutput:
		t.Output(rest)
	case WordEnd:
		_, status, _ := strings.Cut(rest, " ")
		t.End(status)
	case WordKernel:
		t.Kernel = append(t.Kernel, rest)
	case WordFail:
		t.Errors = append(t.Errors, rest)
	case WordDone:
		t.Done = true
	}
}

// Begin starts a suite.
func (t *Transcript) Begin(suite string) {
	t.suite = &SuiteEnd{Suite: suite}
	t.Suites = append(t.Suites, t.suite)
	t.current, t.byName = nil, map[string]*Test{}
}

// End ends it.
func (t *Transcript) End(status string) {
	if t.again != nil {
		t.again.end(t, status)
		t.again = nil
		return
	}
	if t.suite != nil {
		t.suite.Status = status
	}
	t.suite, t.current = nil, nil
}

// Output takes a line that the suite's binary wrote.
func (t *Transcript) Output(line string) {
	if t.again != nil {
		t.again.heard.Output(line)
		return
	}
	if t.suite == nil {
		t.Errors = append(t.Errors, "output of no suite: "+line)
		return
	}
	for i, piece := range strings.Split(line, marker) {
		if i == 0 {
			if piece != "" {
				t.log(piece)
			}
			continue
		}
		t.framework(piece)
	}
}

// framework takes a line of the testing package's own.
func (t *Transcript) framework(line string) {
	word, name, _ := strings.Cut(strings.TrimPrefix(line, "=== "), " ")
	name = strings.TrimSpace(name)
	switch {
	case !strings.HasPrefix(line, "=== "):
		if m := resultLine.FindStringSubmatch(line); m != nil {
			test := t.test(m[2])
			test.Outcome, t.current = outcomes[m[1]], test
			return
		}
		if strings.TrimSpace(line) != "PASS" && strings.TrimSpace(line) != "FAIL" {
			t.log(line)
		}
	case word == "RUN", word == "NAME", word == "CONT":
		t.current = t.test(name)
	case word == "PAUSE":
		t.current = nil
	}
}

func (t *Transcript) log(line string) {
	if t.current != nil {
		t.current.Output = append(t.current.Output, line)
		return
	}
	t.suite.Output = append(t.suite.Output, line)
}

// test is the suite's test of that name, begun now if it was not.
func (t *Transcript) test(name string) *Test {
	if name == "" {
		return nil
	}
	if test := t.byName[name]; test != nil {
		return test
	}
	test := &Test{Suite: t.suite.Suite, Name: name, Outcome: Unfinished}
	t.byName[name] = test
	t.Tests = append(t.Tests, test)
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		if parent := t.byName[name[:i]]; parent != nil {
			parent.parent = true
		}
	}
	return test
}

// LastWords are the kernel's last lines, for a boot that did not finish.
func (t *Transcript) LastWords() []string { return t.raw }

// Count is how many tests ended so. A test with subtests counts as itself only
// if it is worse off than they are: a failure is never lost, and a pass is not
// counted twice.
func (t *Transcript) Count(outcome Outcome) int { return len(t.With(outcome)) }

// With is the tests that ended so, as Count counts them.
func (t *Transcript) With(outcome Outcome) []*Test {
	var list []*Test
	for _, test := range t.Tests {
		if test.Outcome != outcome || test.parent && (outcome == Passed || t.childIs(test, outcome)) {
			continue
		}
		list = append(list, test)
	}
	return list
}

func (t *Transcript) childIs(parent *Test, outcome Outcome) bool {
	for _, test := range t.Tests {
		if test.Suite == parent.Suite && test.Outcome == outcome && strings.HasPrefix(test.Name, parent.Name+"/") {
			return true
		}
	}
	return false
}

// location is what the testing package puts before what a test logs.
var location = regexp.MustCompile(`^ *[A-Za-z0-9_]+\.go:[0-9]+: `)

// Reason is what a skipped test gave as its reason.
func (test *Test) Reason() string {
	for i := len(test.Output) - 1; i >= 0; i-- {
		if place := location.FindString(test.Output[i]); place != "" {
			return test.Output[i][len(place):]
		}
	}
	return "no reason given"
}
