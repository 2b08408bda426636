package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/probe"
)

// probeReport is what the probe package found and what a driver makes of it.
type probeReport struct {
	probe.Report
	Backend   string     `json:"backend"`   // what a driver uses here
	Submit    string     `json:"submit"`    // how its requests get to the ring, "" without one
	Fallbacks []fallback `json:"fallbacks"` // what the driver could not use
}

// fallback is an eddy.Fallback as JSON.
type fallback struct {
	Wanted   string   `json:"wanted"`
	Reason   string   `json:"reason"`
	Evidence []string `json:"evidence"`
	Error    string   `json:"error"`
}

func newProbeCommand() *cobra.Command {
	var (
		asJSON bool
		flags  driverFlags
	)
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Show whether io_uring is usable here, and if not why and what to do",
		Long: `Set up a small ring, ask it what it can do, and show the answer: the kernel, the
backend that eddy uses here, whether io_uring is usable and on what evidence,
its operations, features and set-up flags, and the limits that bear on it.

The JSON has "kernel", "backend", "submit", "fallbacks", "uring" (with "state":
usable, unusable or unknown; "reason", "evidence", "ops", "features",
"setup_flags"), "epoll" and "limits".

Exit codes: 0 the question was answered, whatever the answer; 1 it was not; 2
the command line was wrong.`,
		Example: `  eddy probe
  eddy probe --json | jq .uring.state
  docker run --rm -v "$PWD/eddy:/eddy" debian /eddy probe     is it usable in a container`,
		Args: argCount(0, 0, "probe takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := runProbe(&flags)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), report)
			}
			return report.writeText(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	flags.register(cmd.Flags())
	return cmd
}

func runProbe(flags *driverFlags) (*probeReport, error) {
	cfg, err := flags.config()
	if err != nil {
		return nil, err
	}
	r := &probeReport{Report: probe.Run()}
	drv, err := eddy.New(cfg)
	if err != nil {
		return nil, err
	}
	status := drv.Status()
	r.Backend, r.Fallbacks = status.Backend.String(), []fallback{}
	if status.Backend == eddy.BackendURing {
		r.Submit = status.Submit.String()
	}
	for _, f := range status.Fallbacks {
		shown := fallback{Wanted: f.Wanted, Reason: string(f.Reason), Evidence: f.Evidence}
		if f.Err != nil {
			shown.Error = f.Err.Error()
		}
		r.Fallbacks = append(r.Fallbacks, shown)
	}
	return r, drv.Close()
}

func (r *probeReport) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("system", "%s %s on %s, %s (GOMAXPROCS %d)", r.OS, r.Kernel, r.Arch, count(r.Limits.CPUs, "processor"), r.Limits.GOMAXPROCS)
	using := r.Backend
	if r.Backend == "uring" {
		using += ", submitting: " + r.Submit
	}
	line("eddy uses", "%s", using)
	for _, f := range r.Fallbacks {
		line("", "no %s: %s", f.Wanted, strings.TrimSpace(f.Reason+" "+f.Error))
		for _, e := range f.Evidence {
			line("", "- %s", e)
		}
	}
	verdict := string(r.URing.State)
	if r.URing.Reason != probe.ReasonNone {
		verdict += " (" + string(r.URing.Reason) + ")"
	}
	line("io_uring", "%s", verdict)
	line("", "%s", r.URing.Reason.Explanation())
	for _, e := range r.URing.Evidence {
		line("", "- %s", e)
	}
	has, lacks := split(r.URing.Ops)
	if len(has) > 0 {
		line("operations", "%d of the %d that eddy knows", len(has), len(has)+len(lacks))
		words(t, "", "", has)
		words(t, "", "missing: ", lacks)
		words(t, "features", "", r.URing.Features)
		has, lacks = split(r.URing.SetupFlags)
		words(t, "set-up flags", "", has)
		words(t, "", "missing: ", lacks)
	}
	line("epoll", "%s", strings.TrimSpace(string(r.Epoll.State)+" "+string(r.Epoll.Reason)))
	r.writeLimits(line)
	return t.Flush()
}

func (r *probeReport) writeLimits(line func(name, format string, args ...any)) {
	l := &r.Limits
	if r.OS != "linux" {
		return
	}
	line("limits", "open files %v (at most %v)", l.NoFile.Soft, l.NoFile.Hard)
	line("", "locked memory %v bytes (at most %v)", l.Memlock.Soft, l.Memlock.Hard)
	line("", "seccomp: %s", l.Seccomp)
	if l.URingDisabled != nil {
		line("", "kernel.io_uring_disabled = %d", *l.URingDisabled)
	}
	if l.Container != "" {
		line("", "in a container: %s", l.Container)
	}
}

// split sorts the names into those that are there and those that are not.
func split(set map[string]bool) (has, lacks []string) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] {
			has = append(has, name)
		} else {
			lacks = append(lacks, name)
		}
	}
	return has, lacks
}

// words writes a list of words over as many lines as it takes.
func words(w io.Writer, name, before string, list []string) {
	if len(list) == 0 {
		return
	}
	const width = 90
	for _, text := range strings.Split(wrap(before+strings.Join(list, " "), width), "\n") {
		fmt.Fprintf(w, "%s\t%s\n", name, text)
		name = ""
	}
}
