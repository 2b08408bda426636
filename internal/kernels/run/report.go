package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/eddyio/eddy/internal/kernels"
	"github.com/eddyio/eddy/probe"
)

// report is what became of a machine.
type report struct {
	machine    *machine
	transcript kernels.Transcript
	err        error // it could not be run to its end
	took       time.Duration
	processor  time.Duration // of this machine's time, for all of its processors
	log        string
	faults     []string // everything that makes it bad but for failed tests
	forTime    []string // tests that are not run because that would take too long
	suites     []string // packages likewise
}

// used notes what the emulator has used.
func (r *report) used(cmd *exec.Cmd) {
	if cmd.ProcessState != nil {
		r.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
}

// judge collects the faults.
func (r *report) judge(b *binaries) {
	t := &r.transcript
	r.leftOut(b)
	fault := func(format string, args ...any) { r.faults = append(r.faults, fmt.Sprintf(format, args...)) }
	if r.err != nil {
		fault("%v", r.err)
	}
	if !t.Done {
		fault("the machine did not get to the end; its last words:\n\t\t%s", strings.Join(last(t.LastWords(), 12), "\t\t"))
	}
	for _, text := range t.Errors {
		fault("%s", text)
	}
	for _, line := range t.Kernel {
		fault("the kernel says: %s", line)
	}
	for _, suite := range b.plan(r.machine).Suites {
		runs := 0
		for _, end := range t.Suites {
			if end.Suite != suite.Name {
				continue
			}
			runs++
			if end.Status != "ok" && !r.explains(suite.Name, end.Status) {
				fault("%s: %s\n\t\t%s", suite.Name, end.Status, strings.Join(last(end.Output, 60), "\n\t\t"))
			}
		}
		switch {
		case runs == 0:
			fault("%s was not run", suite.Name)
		case suite.Pattern != "" && len(t.Listed[suite.Name]) == 0:
			fault("%s did not say which tests it has", suite.Name)
		}
	}
	r.judgeFacts(fault)
}

// leftOut finds what the plan leaves out for want of time.
func (r *report) leftOut(b *binaries) {
	suites := b.plan(r.machine).Suites
	for _, name := range b.all {
		if !slices.ContainsFunc(suites, func(s kernels.Suite) bool { return s.Name == name }) {
			r.suites = append(r.suites, name)
		}
	}
	for _, suite := range suites {
		if suite.Pattern == "" {
			continue
		}
		pattern := regexp.MustCompile(suite.Pattern)
		for _, test := range r.transcript.Listed[suite.Name] {
			if !pattern.MatchString(test) {
				r.forTime = append(r.forTime, suite.Name+" "+test)
			}
		}
	}
}

// explains reports whether failed tests explain that the suite ended so.
func (r *report) explains(suite, status string) bool {
	has := func(outcome kernels.Outcome) bool {
		return slices.ContainsFunc(r.transcript.With(outcome), func(t *kernels.Test) bool { return t.Suite == suite })
	}
	return (status == "exit status 1" || status == "exit status 2") && (has(kernels.Failed) || has(kernels.Again)) && !has(kernels.Unfinished)
}

// judgeFacts compares what the machine found with what it ought to.
func (r *report) judgeFacts(fault func(string, ...any)) {
	m, facts := r.machine, r.transcript.Facts
	found, err := r.probe()
	if err != nil {
		fault("%v", err)
		return
	}
	for _, pair := range []struct{ what, is, want string }{
		{"io_uring", string(found.URing.State), m.wantState},
		{"the reason", string(found.URing.Reason), m.wantReason},
		{"the backend", facts["backend"], m.wantBackend},
		{"the submit mode", facts["submit"], m.wantSubmit},
	} {
		if pair.is != pair.want && (pair.want != "" || pair.what == "the reason") {
			fault("%s is %q and should be %q", pair.what, pair.is, pair.want)
		}
	}
}

func (r *report) probe() (probe.Report, error) {
	var found probe.Report
	text := r.transcript.Facts["probe"]
	if text == "" {
		return found, fmt.Errorf("there is no word of what package probe found")
	}
	err := json.Unmarshal([]byte(text), &found)
	return found, err
}

func (r *report) good() bool {
	return len(r.faults) == 0 && r.transcript.Count(kernels.Failed)+r.transcript.Count(kernels.Unfinished) == 0 &&
		r.transcript.Count(kernels.Passed) > 0
}

// line is the machine in a line.
func (r *report) line() string {
	t := &r.transcript
	word := "ok"
	if !r.good() {
		word = "BAD"
	}
	return fmt.Sprintf("%-3s %-20s %-26s %4d passed %3d again %3d failed %4d skipped %3d left out  %s %s  %v (%v of processor time)", word, r.machine.name,
		t.Facts["kernel"], t.Count(kernels.Passed), t.Count(kernels.Again), t.Count(kernels.Failed)+t.Count(kernels.Unfinished),
		t.Count(kernels.Skipped), r.countLeftOut(), t.Facts["backend"], t.Facts["submit"], r.took.Round(time.Second), r.processor.Round(time.Second))
}

// failures is how many tests have failed.
func (r *report) failures() int { return r.transcript.Count(kernels.Failed) }

// printReports prints all.
func printReports(w io.Writer, reports []*report, verbose bool) {
	for _, r := range reports {
		fmt.Fprintf(w, "\n== %s\n", r.machine.name)
		r.printFacts(w)
		r.printSkips(w, verbose)
		r.printLeftOut(w, verbose)
		for _, outcome := range []kernels.Outcome{kernels.Again, kernels.Failed, kernels.Unfinished} {
			for _, test := range r.transcript.With(outcome) {
				fmt.Fprintf(w, "%s: %s %s\n\t%s\n", strings.ToUpper(string(outcome)), test.Suite, test.Name,
					strings.Join(last(test.Output, 40), "\n\t"))
			}
		}
		for _, fault := range r.faults {
			fmt.Fprintf(w, "FAULT: %s\n", fault)
		}
	}
	fmt.Fprintln(w)
	for _, r := range reports {
		fmt.Fprintln(w, r.line())
	}
}

func (r *report) printFacts(w io.Writer) {
	facts := r.transcript.Facts
	for _, name := range []string{"kernel", "memory", "processors", "backend", "submit", "fallback"} {
		if facts[name] != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, facts[name])
		}
	}
	found, err := r.probe()
	if err != nil {
		return
	}
	var flags []string
	for name, has := range found.URing.SetupFlags {
		if has {
			flags = append(flags, name)
		}
	}
	sort.Strings(flags)
	operations := 0
	for _, has := range found.URing.Ops {
		if has {
			operations++
		}
	}
	fmt.Fprintf(w, "%-12s %s %s %s\n", "io_uring", found.URing.State, found.URing.Reason, strings.Join(found.URing.Evidence, "; "))
	if operations > 0 {
		fmt.Fprintf(w, "%-12s %s\n%-12s %s\n", "features", strings.Join(found.URing.Features, " "), "set-up", strings.Join(flags, " "))
	}
	fmt.Fprintf(w, "%-12s %v\n", "log", r.log)
}

// printSkips prints each reason, how often it was given, and for what.
func (r *report) printSkips(w io.Writer, verbose bool) {
	byReason := map[string][]string{}
	for _, test := range r.transcript.With(kernels.Skipped) {
		byReason[test.Reason()] = append(byReason[test.Reason()], test.Suite+" "+test.Name)
	}
	reasons := make([]string, 0, len(byReason))
	for reason := range byReason {
		reasons = append(reasons, reason)
	}
	sort.Strings(reasons)
	for _, reason := range reasons {
		names := byReason[reason]
		fmt.Fprintf(w, "SKIP %3d: %s (%s)\n", len(names), reason, shorten(names, verbose))
	}
}

// printLeftOut prints what is not run at all.
func (r *report) printLeftOut(w io.Writer, verbose bool) {
	for _, o := range r.machine.omissions() {
		fmt.Fprintf(w, "LEFT OUT: %s %s: %s\n", o.suite, o.test, o.reason)
	}
	if len(r.forTime) > 0 {
		fmt.Fprintf(w, "LEFT OUT for time: %d tests (%s)\n", len(r.forTime), shorten(r.forTime, verbose))
	}
	for _, suite := range r.suites {
		reason := shunned[suite]
		if reason == "" {
			reason = "for time, or because it does not fit in"
		}
		fmt.Fprintf(w, "LEFT OUT: all of %s: %s\n", suite, reason)
	}
}

// countLeftOut counts the tests, not the packages.
func (r *report) countLeftOut() int { return len(r.machine.omissions()) + len(r.forTime) }

// shorten is the first names, or all.
func shorten(names []string, all bool) string {
	if !all && len(names) > 3 {
		names = append(slices.Clone(names[:3]), "...")
	}
	return strings.Join(names, ", ")
}

// printTotal prints the last line.
func printTotal(w io.Writer, reports []*report) {
	var passed, again, failed, skipped, left int
	for _, r := range reports {
		passed += r.transcript.Count(kernels.Passed)
		again += r.transcript.Count(kernels.Again)
		failed += r.transcript.Count(kernels.Failed) + r.transcript.Count(kernels.Unfinished) + len(r.faults)
		skipped += r.transcript.Count(kernels.Skipped)
		left += r.countLeftOut()
	}
	fmt.Fprintf(w, "%d passed, %d passed when run again, %d failed, %d skipped, %d left out\n", passed, again, failed, skipped, left)
}

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }
