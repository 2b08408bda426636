package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/background"
	"github.com/eddyio/eddy/cmd/eddy/internal/echobench"
	"github.com/eddyio/eddy/cmd/eddy/internal/filebench"
)

// The hidden commands that are the two processes of a measurement.
const (
	echoServerCommand = "echo-server"
	echoLoadCommand   = "echo-load"
)

const (
	defaultEchoSize = 64
	streamSize      = 1 << 20
)

type benchEchoFlags struct {
	conns, idle, busy, rate []int

	size, depth  int
	stream, http bool
	network      string
	seconds      float64
	warmup       float64
	rounds       int
	burst        time.Duration
	fsync        int
	garbage      bool
	procs        int
	pin          bool
	json         bool
	backend      string
	loops        int
	parkAtOnce   bool
}

func newBenchEchoCommand() *cobra.Command {
	var flags benchEchoFlags
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "An echo server on eddy's sockets and on package net, side by side",
		Long: `Measure an echo server, a goroutine for each connection, on eddy's sockets and on
package net in one run: requests per second, the server's CPU seconds per
million requests, and latency (p50, p99, worst). The sides take turns, server
and load generator are processes of their own, every reply is checked, and the
figures are medians over the rounds. "of std" is eddy's figure divided by that
of package net in the same round, and of these the median: a machine that
changes its speed between the rounds does not change it.

Without --rate each connection sends its next request when it has the reply to
the last one. With --rate requests are sent at fixed times whatever the server
does, --depth of them at a time, and latency counts from the time a request was
meant to be sent.

With --busy the CPU column is left out, for the computing goroutines use it all;
"computing" is how many processors' worth of bursts they got, by the clock, and
"its work" how often they went round their loops meanwhile.

--conns, --idle, --busy and --rate take lists: every combination is a row.

Exit codes: 0 measured; 1 it failed; 2 the command line was wrong; 129 SIGHUP;
130 SIGINT; 143 SIGTERM.`,
		Example: echoExamples,
		Args:    argCount(0, 0, "bench echo takes no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runBenchEcho(cmd, &flags) },
	}
	flags.register(cmd)
	return cmd
}

// echoExamples are the command lines behind docs/echo.md.
const echoExamples = `  eddy bench echo                                           what does eddy gain on this machine
  eddy bench echo --pin --conns 8,64,512,8000               the same, each side on processors of its own
  eddy bench echo --fsync 4                                 while four goroutines write and fsync files
  eddy bench echo --busy 2,8,32 --conns 8,64                while the server computes in bursts of 2 ms
  eddy bench echo --busy 2,8,32 --conns 8,64 --burst 10ms   in longer ones
  eddy bench echo --busy 2,8,32 --conns 8,64 --garbage      with a collector that never rests
  eddy bench echo --rate 1000,5000 --conns 64               requests at a fixed rate
  eddy bench echo --rate 1000,5000 --conns 64 --busy 2,8,32
  eddy bench echo --pin --conns 64 --depth 16 --size 4096   sixteen requests at a time
  eddy bench echo --pin --conns 1,8 --stream                1 MiB at a time
  eddy bench echo --pin --conns 64 --http                   net/http, keep-alive
  eddy bench echo --pin --conns 64,200 --idle 0,19700       19900 connections, of which 200 are active
  eddy bench echo --conns 1 --idle 10000                    memory of an idle connection
  eddy bench echo --network unix
  eddy bench echo --network udp --conns 1,8,64              one socket for all`

func (f *benchEchoFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntSliceVar(&f.conns, "conns", []int{8, 64, 512}, "connections that send requests")
	flags.IntSliceVar(&f.idle, "idle", []int{0}, "more connections, that stay silent")
	flags.IntSliceVar(&f.busy, "busy", []int{0}, "goroutines of the server that compute in bursts")
	flags.IntSliceVar(&f.rate, "rate", []int{0}, "requests per second over all connections (an open loop); 0 is as many as it answers")
	flags.IntVar(&f.size, "size", defaultEchoSize, "of a request, in `bytes`")
	flags.IntVar(&f.depth, "depth", 1, "requests that are sent together")
	flags.BoolVar(&f.stream, "stream", false, "requests of 1 MiB")
	flags.BoolVar(&f.http, "http", false, "net/http's server on the sockets instead of an echo")
	flags.StringVar(&f.network, "network", "tcp", "tcp, unix, or udp: one socket and one goroutine for all")
	flags.Float64Var(&f.seconds, "seconds", 1, "length of each measurement in `seconds`")
	flags.Float64Var(&f.warmup, "warmup", 0.3, "how long each measurement runs before it counts, in `seconds`")
	flags.IntVar(&f.rounds, "rounds", 5, "how often each measurement is made; medians are shown")
	flags.DurationVar(&f.burst, "burst", background.DefaultBurst, "how long a computing goroutine computes at a time")
	flags.IntVar(&f.fsync, "fsync", 0, "goroutines of the server that write 1 MiB and fsync")
	flags.BoolVar(&f.garbage, "garbage", false, "GOGC=20, 200 MB of live heap, and a goroutine that replaces it")
	flags.IntVar(&f.procs, "procs", 0, "GOMAXPROCS of the server; 0 is what it may use")
	flags.BoolVar(&f.pin, "pin", false, "the server on one processor, the load generator on the others")
	flags.BoolVar(&f.json, "json", false, "write JSON, with every round")
	registerBackend(flags, &f.backend)
	flags.IntVar(&f.loops, "loops", 0, "loops of eddy's driver; 0 leaves it to the driver")
	flags.BoolVar(&f.parkAtOnce, "park-at-once", false, "eddy's readers do not look again, or wait in the kernel, before they park")
}

// check finds what is wrong with the flags before anything is measured.
func (f *benchEchoFlags) check(cmd *cobra.Command) error {
	if err := checkRanges([]intRange{
		{"conns", f.conns, 1, mostConnections}, {"idle", f.idle, 0, mostConnections}, {"busy", f.busy, 0, mostBusy},
		{"rate", f.rate, 0, mostRate}, {"size", []int{f.size}, 1, mostBytes}, {"depth", []int{f.depth}, 1, mostBytes},
		{"rounds", []int{f.rounds}, 1, mostRounds}, {"fsync", []int{f.fsync}, 0, mostFsync}, {"procs", []int{f.procs}, 0, mostProcs},
		{"loops", []int{f.loops}, 0, mostLoops},
	}); err != nil {
		return err
	}
	if err := checkLengths(f.seconds, f.warmup); err != nil {
		return err
	}
	changed := cmd.Flags().Changed
	switch {
	case f.burst < 10*time.Microsecond || f.burst > time.Minute:
		return usagef("--burst %v: it must be from 10us to 1m", f.burst)
	case f.network != "tcp" && f.network != "unix" && f.network != "udp":
		return usagef("--network %q: there are tcp, unix and udp", f.network)
	case f.network == "udp" && (f.http || f.stream || f.depth != 1 || changed("idle")):
		return usagef("--network udp does not go with --http, --stream, --depth or --idle")
	case f.network == "udp" && slices.Max(f.conns)*(f.size+datagramCost) > datagramRoom:
		return usagef("--network udp: %d datagrams of %d bytes at a time might get lost, which nobody would send again", slices.Max(f.conns), f.size)
	case f.stream && (changed("size") || changed("depth")):
		return usagef("--stream has a size and depth of its own")
	case f.http && (changed("size") || f.stream):
		return usagef("--http does not go with --size or --stream")
	case f.size*f.depth > mostBytes:
		return usagef("--size %d and --depth %d: more than %s together", f.size, f.depth, byteSize(mostBytes))
	}
	_, err := parseBackend(f.backend)
	return err
}

func runBenchEcho(cmd *cobra.Command, flags *benchEchoFlags) error {
	if err := flags.check(cmd); err != nil {
		return err
	}
	if err := echobench.Possible(); err != nil {
		return err
	}
	ctx, stop := notifyContext(cmd.Context())
	defer stop()
	plan, err := flags.plan()
	if err != nil {
		return err
	}
	bar := startBenchBar(cmd.ErrOrStderr(), &plan.Step)
	rows, err := plan.Execute(ctx)
	bar.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	report := newEchoReport(flags, plan, rows)
	if flags.json {
		return writeJSON(cmd.OutOrStdout(), report)
	}
	return report.writeText(cmd.OutOrStdout(), plan)
}

func (f *benchEchoFlags) plan() (*echobench.Plan, error) {
	size := f.size
	if f.stream {
		size = streamSize
	}
	work := echobench.Work{
		Network: f.network, HTTP: f.http, Size: size, Depth: f.depth,
		Warmup: inSeconds(f.warmup), Length: inSeconds(f.seconds),
		Burst: f.burst, Fsync: f.fsync, Garbage: f.garbage, Procs: f.procs, Pin: f.pin,
		Backend: f.backend, Loops: f.loops, ParkAtOnce: f.parkAtOnce,
	}
	if f.fsync > 0 {
		dir, err := filebench.Directory(workDirectories())
		if err != nil {
			return nil, err
		}
		work.FsyncDir = dir
	}
	return &echobench.Plan{
		Work: work, Loads: echobench.Loads(f.conns, f.idle, f.busy, f.rate), Rounds: f.rounds,
		Run:  echobench.Commands{Server: []string{"bench", echoServerCommand}, Load: []string{"bench", echoLoadCommand}}.Run,
		Step: func(int, int, string) {},
	}, nil
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// echoReport is what a run found, as JSON and as text.
type echoReport struct {
	Version    string          `json:"version"`
	Kernel     string          `json:"kernel"`
	Processors int             `json:"processors"`
	Procs      int             `json:"gomaxprocs"` // of the server; 0 is what it may use
	Pinned     bool            `json:"pinned"`
	Network    string          `json:"network"`
	HTTP       bool            `json:"http"`
	Size       int             `json:"size"`
	Depth      int             `json:"depth"`
	Burst      float64         `json:"burst_ms"`
	Fsync      int             `json:"fsync"`
	Garbage    bool            `json:"garbage"`
	Rounds     int             `json:"rounds"`
	Seconds    float64         `json:"seconds"`
	Backend    string          `json:"backend"`
	Loops      int             `json:"loops"`
	ParkAtOnce bool            `json:"park_at_once"`
	Rows       []echobench.Row `json:"rows"`
}

func newEchoReport(flags *benchEchoFlags, plan *echobench.Plan, rows []echobench.Row) *echoReport {
	return &echoReport{
		Version: version(), Kernel: kernelRelease(), Processors: runtime.NumCPU(), Procs: flags.procs, Pinned: flags.pin,
		Network: flags.network, HTTP: flags.http, Size: plan.Work.Size, Depth: flags.depth,
		Burst: flags.burst.Seconds() * 1e3, Fsync: flags.fsync, Garbage: flags.garbage,
		Rounds: flags.rounds, Seconds: flags.seconds, Backend: plan.Backend, Loops: flags.loops, ParkAtOnce: flags.parkAtOnce, Rows: rows,
	}
}

func (r *echoReport) writeText(w io.Writer, plan *echobench.Plan) error {
	what := fmt.Sprintf("echo of %s", byteSize(int64(r.Size)))
	if r.HTTP {
		what = "net/http, hello world"
	}
	if r.Depth > 1 {
		what += fmt.Sprintf(", %d at a time", r.Depth)
	}
	who := "a goroutine for each connection"
	if r.Network == "udp" {
		who = "one socket and one goroutine for all"
	}
	fmt.Fprintf(w, "%s over %s, %s\n", what, r.Network, who)
	machine := []string{r.Kernel, count(r.Processors, "processor")}
	if r.Pinned {
		machine = append(machine, "the server on one of them, the load generator on the others")
	}
	if r.Procs > 0 {
		machine = append(machine, fmt.Sprintf("GOMAXPROCS %d", r.Procs))
	}
	machine = append(machine, fmt.Sprintf("%s of %v s (medians)", count(r.Rounds, "round"), r.Seconds))
	fmt.Fprintln(w, strings.Join(machine, ", "))
	for _, l := range plan.Loads {
		if l.Busy > 0 {
			fmt.Fprintf(w, "beside K goroutines that compute in bursts of %v\n", plan.Work.Burst)
			break
		}
	}
	if r.Fsync > 0 {
		fmt.Fprintf(w, "beside %s\n", count(r.Fsync, "fsyncing goroutine"))
	}
	if r.Garbage {
		fmt.Fprintln(w, "beside a live heap of 200 MB that is replaced all the time, with GOGC=20")
	}
	fmt.Fprintln(w)
	if err := plan.WriteTable(w, r.Rows); err != nil {
		return err
	}
	for _, row := range r.Rows {
		for _, side := range row.Sides {
			if side.Late > 0 {
				fmt.Fprintf(w, "%s, %v: up to %s not answered within a second after the end\n", side.Side, row.Load, count(int(side.Late), "request"))
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n\"of std\" is eddy's figure divided by package net's in the same round (median). eddy ran on its %s backend.\n", r.Backend)
	return err
}

// newEchoServerCommand makes the server's process. Its standard input is the planning process's.
func newEchoServerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    echoServerCommand,
		Hidden: true,
		Args:   argCount(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return echobench.Serve(cmd.InOrStdin(), cmd.OutOrStdout(), func(work echobench.Work) (cfg eddy.Config, err error) {
				cfg.Loops, cfg.ParkAtOnce = work.Loops, work.ParkAtOnce
				cfg.Backend, err = eddy.ParseBackend(work.Backend)
				return cfg, err
			})
		},
	}
}

// newEchoLoadCommand makes the load generator's process.
func newEchoLoadCommand() *cobra.Command {
	return &cobra.Command{
		Use:    echoLoadCommand,
		Hidden: true,
		Args:   argCount(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return echobench.Generate(cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
