package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/kernels"
	"github.com/eddyio/eddy/probe"
)

// tellFacts tells what the machine is, what package probe finds, and what a
// driver with no settings makes of it.
func tellFacts() error {
	report := probe.Run()
	fact("kernel", report.Kernel)
	fact("processors", fmt.Sprint(runtime.NumCPU()))
	fact("memory", memory())
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	fact("probe", string(text))
	d, err := eddy.New(eddy.Config{})
	if err != nil {
		return err
	}
	status := d.Status()
	fact("backend", status.Backend.String())
	fact("submit", status.Submit.String())
	for _, f := range status.Fallbacks {
		fact("fallback", fmt.Sprintf("%s: %s: %v", f.Wanted, f.Reason, f.Err))
	}
	return d.Close()
}

func fact(name, text string) { say(kernels.WordFact, name+" "+text) }

// memory is the first line of /proc/meminfo: what the kernel leaves of it.
func memory() string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.Join(strings.Fields(line)[1:], " ")
}
