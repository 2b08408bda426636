package kernels

import (
	"slices"
	"strings"
)

// rerun is a failed test that is run again, by itself.
type rerun struct {
	suite, name string
	heard       Transcript
}

// end enters the outcome into the transcript of the whole: the test and its
// subtests that failed have passed when run again, or what they say the second
// time is added to the first.
func (r *rerun) end(t *Transcript, status string) {
	good := status == statusOK && len(r.heard.Tests) > 0 && r.heard.Tests[0].Name == r.name &&
		r.heard.Tests[0].Outcome == Passed
	var said []string
	for _, test := range r.heard.Tests {
		if test.Outcome == Failed || test.Outcome == Unfinished {
			said = append(said, "run again: "+test.Name+" "+string(test.Outcome))
			said = append(said, test.Output...)
		}
	}
	for _, test := range t.Tests {
		if test.Suite != r.suite || top(test.Name) != r.name || test.Outcome != Failed && test.Outcome != Unfinished {
			continue
		}
		if good {
			test.Outcome = Again
		} else {
			test.Output = slices.Concat(test.Output, []string{"run again: " + status}, said)
		}
	}
}

// top is the name of the test that a subtest belongs to.
func top(name string) string {
	name, _, _ = strings.Cut(name, "/")
	return name
}

// failures are the tests that failed, without their subtests, and if there are
// any, those that did not end, if wanted.
func (t *Transcript) failures(unfinished bool) []string {
	unfinished = unfinished && t.Count(Failed) > 0
	var list []string
	for _, test := range t.Tests {
		bad := test.Outcome == Failed || unfinished && test.Outcome == Unfinished
		if bad && !slices.Contains(list, top(test.Name)) {
			list = append(list, top(test.Name))
		}
	}
	return list
}
