package kernels

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Where things are in a guest.
const (
	PlanFile = "/plan.json"
	TestsDir = "/tests" // holds a directory per package, each its tests' working directory
)

// Plan is what a guest is to do.
type Plan struct {
	// Sysctls are set first, by their path under /proc/sys. One that cannot be
	// set ends the boot.
	Sysctls map[string]string `json:"sysctls"`
	Suites  []Suite           `json:"suites"`
}

// Suite is one test binary: TestsDir/Name/Name.test.
type Suite struct {
	Name    string        `json:"name"`
	Pattern string        `json:"pattern"` // of the tests to run; "" for all
	Skip    []string      `json:"skip"`    // tests and subtests that are not run, by their full names
	Env     []string      `json:"env"`
	Timeout time.Duration `json:"timeout"` // then it is killed
}

// arguments are the test binary's, for the tests that match the pattern.
func (s Suite) arguments(pattern string) []string {
	list := []string{"-test.v=test2json", "-test.short", "-test.timeout=" + (s.Timeout - s.Timeout/8).String()}
	if pattern != "" {
		list = append(list, "-test.run="+pattern)
	}
	if len(s.Skip) > 0 {
		var skip []string
		for _, name := range s.Skip {
			skip = append(skip, exactly(name))
		}
		list = append(list, "-test.skip="+strings.Join(skip, "|"))
	}
	return list
}

// exactly is the pattern of one test or subtest. The testing package matches
// each element of its name by itself.
func exactly(name string) string {
	elements := strings.Split(name, "/")
	for i, element := range elements {
		elements[i] = "^" + regexp.QuoteMeta(element) + "$"
	}
	return strings.Join(elements, "/")
}

// Encode is the text of the plan's file.
func (p Plan) Encode() []byte {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	return text
}

// DecodePlan reads what Encode writes.
func DecodePlan(text []byte) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return Plan{}, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}
