package kernels

import (
	"path/filepath"
	"slices"
	"strings"
)

// mostAgain is how many tests of a suite are run again. Where more fail, it is
// not for want of time.
const mostAgain = 6

// mostDeaths is how often a suite's binary is started.
const mostDeaths = 3

// Conductor runs a plan's suites and tells of them.
type Conductor struct {
	Tests       string                  // the directory that holds one for each suite
	Environment []string                // of the test binaries
	Say         func(word, text string) // writes a line of the protocol
	After       func()                  // called after each run of a binary
}

// Run runs them all.
func (c Conductor) Run(p Plan) {
	for _, suite := range p.Suites {
		if suite.Pattern != "" {
			c.list(suite)
		}
		c.again(suite, c.whole(suite))
	}
}

// leakedPin is in what the runtime says when it kills a process that has thrown
// away a pinned object: as a test's driver is that has failed with requests in
// the kernel. Whatever test runs by then has nothing to do with it.
const leakedPin = "found leaking pinned pointer"

// whole runs all tests of the suite and returns those that have failed. A binary
// that dies is started again without the tests that it has begun.
func (c Conductor) whole(suite Suite) []string {
	var failed []string
	rest := suite
	for range mostDeaths {
		var heard Transcript
		var leaked bool
		heard.Begin(suite.Name)
		c.Say(WordBegin, suite.Name)
		status := c.run(suite, rest.arguments(suite.Pattern), func(line string) {
			leaked = leaked || strings.Contains(line, leakedPin)
			heard.Output(line)
		})
		died := status != statusOK && status != statusFailed
		if !died || leaked { // else there is no excuse
			failed = append(failed, heard.failures(died)...)
		}
		if !died || len(heard.Tests) == 0 {
			break
		}
		rest.Skip = slices.Clone(rest.Skip)
		for _, test := range heard.Tests {
			if test.Name == top(test.Name) {
				rest.Skip = append(rest.Skip, test.Name)
			}
		}
	}
	return failed
}

// again runs failed tests once more. An emulated processor stands still now and
// then for longer than a test waits; so a test has another chance, by itself.
func (c Conductor) again(suite Suite, failed []string) {
	for _, name := range failed[:min(len(failed), mostAgain)] {
		c.Say(WordAgain, suite.Name+" "+name)
		c.run(suite, suite.arguments(exactly(name)), nil)
	}
}

// run runs the binary and reports how it ended.
func (c Conductor) run(suite Suite, args []string, hear func(line string)) string {
	status := suite.Run(filepath.Join(c.Tests, suite.Name), args, c.Environment, func(line string) {
		c.Say(WordOutput, line)
		if hear != nil {
			hear(line)
		}
	})
	c.Say(WordEnd, suite.Name+" "+status)
	c.After()
	return status
}

// list tells the names of all tests of a suite, so that those left out can be
// counted.
func (c Conductor) list(suite Suite) {
	args := []string{"-test.list=^(Test|Fuzz|Example)"}
	suite.Run(filepath.Join(c.Tests, suite.Name), args, c.Environment, func(line string) {
		if !strings.ContainsAny(line, " \t") {
			c.Say(WordList, suite.Name+" "+line)
		}
	})
}
