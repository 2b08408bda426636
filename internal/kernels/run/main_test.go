package main

import (
	"errors"
	"testing"

	"github.com/eddyio/eddy/internal/kernels"
)

// A machine for which there was no time must not pass for one that is well, nor
// hide a test that failed on another.
func TestMachineThatWasNotRunPassesOrHidesAFailure(t *testing.T) {
	of := func(done bool, outcome kernels.Outcome, faults ...string) *report {
		r := &report{machine: machines[0], faults: faults}
		r.transcript.Done = done
		r.transcript.Tests = append(r.transcript.Tests, &kernels.Test{Suite: "eddy", Name: "Test", Outcome: outcome})
		return r
	}
	well := of(true, kernels.Passed)
	late := of(false, kernels.Passed, "no time")
	late.err = errors.New("no time")
	for name, c := range map[string]struct {
		reports []*report
		want    int
	}{
		"all well":                      {[]*report{well, well}, exitGood},
		"one without time":              {[]*report{well, late}, exitUnknown},
		"one that failed":               {[]*report{of(true, kernels.Failed), well}, exitBad},
		"one that failed, without time": {[]*report{of(false, kernels.Failed, "no time"), late}, exitBad},
		"failed, and one without time":  {[]*report{late, of(true, kernels.Failed)}, exitBad},
		"at its end with a fault":       {[]*report{of(true, kernels.Passed, "the backend is portable")}, exitBad},
		"a test that did not end":       {[]*report{of(true, kernels.Unfinished)}, exitBad},
	} {
		if got := verdict(c.reports); got != c.want {
			t.Errorf("%s: exit status %d, want %d", name, got, c.want)
		}
	}
}
