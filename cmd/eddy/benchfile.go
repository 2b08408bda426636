package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eddyio/eddy/cmd/eddy/internal/filebench"
)

// workerCommand is the hidden command that carries out one measurement.
const workerCommand = "file-worker"

type benchFileFlags struct {
	driver     driverFlags
	direct     bool
	cached     bool
	write      bool
	overwrite  bool
	context    bool
	json       bool
	fio        bool
	goroutines []int
	batch      int
	busy       int
	fsync      int
	procs      int
	osProcs    int
	rounds     int
	seconds    float64
	warmup     float64
	size       string
}

func newBenchFileCommand() *cobra.Command {
	var flags benchFileFlags
	cmd := &cobra.Command{
		Use:   "file [flags] [FILE]",
		Short: "Random 4 KiB reads (or writes) by eddy and by os.File, side by side",
		Long: `Measure random 4 KiB reads of FILE by eddy and by os.File in one run: operations
per second (IOPS), CPU seconds per million of them, OS threads, and latency
(p50, p99, worst). The sides take turns, each measurement is a process of its
own, and the figures are medians over the rounds.

Without FILE it makes a file of random data on a disk, checks in every read that
the right block came, and removes it at the end; it then uses O_DIRECT, past the
page cache, wherever the file system can. A FILE is read as os.Open would,
unless --direct is given. What goes through the page cache is taken out of it
before each measurement, so that none reads what another has left there; with
--cached everything is in it from the beginning.

With --busy the CPU column is left out, for the computing goroutines use it all.
With --batch eddy reads or writes that many blocks in one call from each
goroutine and the latency is that of the whole call, while os.File does so one
by one.

Exit codes: 0 measured; 1 it failed; 2 the command line was wrong; 129 SIGHUP;
130 SIGINT; 143 SIGTERM.`,
		Example: `  eddy bench file                                          what does eddy gain on this machine
  eddy bench file --direct --goroutines 1,4,32 big.img     on a file and a disk of your choice
  eddy bench file --busy 8 --goroutines 1,32               while eight goroutines compute
  eddy bench file --procs 1                                as in a container with one processor
  eddy bench file --batch 32 --goroutines 1 --fio          batches, beside fio at the same depth`,
		Args: argCount(0, 1, "bench file takes at most one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBenchFile(cmd, &flags, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.direct, "direct", false, "read past the page cache (O_DIRECT); an error where that is impossible")
	f.BoolVar(&flags.cached, "cached", false, "read the file into the page cache first, and no O_DIRECT")
	f.IntSliceVar(&flags.goroutines, "goroutines", []int{1, 8, 32, 256}, "how many goroutines operate at once; one row each")
	f.IntVar(&flags.batch, "batch", 0, "eddy reads or writes this many blocks per call (File.ReadBatch, WriteBatch)")
	f.Float64Var(&flags.seconds, "seconds", 0.8, "length of each measurement in `seconds`")
	f.Float64Var(&flags.warmup, "warmup", 0.2, "how long each measurement runs before it counts, in `seconds`")
	f.IntVar(&flags.rounds, "rounds", 3, "how often each measurement is made; medians are shown")
	f.IntVar(&flags.procs, "procs", 0, "GOMAXPROCS of both sides; 0 is the machine's")
	f.IntVar(&flags.busy, "busy", 0, "goroutines that compute in bursts of 2 ms meanwhile")
	f.IntVar(&flags.fsync, "fsync", 0, "goroutines that write 1 MiB and fsync meanwhile")
	f.BoolVar(&flags.context, "context", false, "eddy is given a context that can be cancelled (ReadAtContext, WriteAtContext)")
	f.BoolVar(&flags.write, "write", false, "write instead of read (on a FILE of yours only with --overwrite)")
	f.BoolVar(&flags.overwrite, "overwrite", false, "let --write destroy what is in FILE")
	f.StringVar(&flags.size, "size", "1GiB", "`size` of the file that is made (MiB, GiB)")
	f.IntVar(&flags.osProcs, "os-procs", 0, "add a side: os.File under this GOMAXPROCS")
	f.BoolVar(&flags.fio, "fio", false, "add fio's io_uring engine, if fio is installed")
	f.BoolVar(&flags.json, "json", false, "write JSON, with every round")
	flags.driver.register(f)
	return cmd
}

// check finds what is wrong with the flags before anything is measured.
func (f *benchFileFlags) check(named bool) error {
	most := 0
	for _, n := range f.goroutines {
		most = max(most, n)
	}
	if err := checkRanges([]intRange{
		{"goroutines", f.goroutines, 1, mostThreads}, {"batch", []int{f.batch}, 0, mostBytes / filebench.BlockSize},
		{"rounds", []int{f.rounds}, 1, mostRounds}, {"procs", []int{f.procs}, 0, mostProcs}, {"os-procs", []int{f.osProcs}, 0, mostProcs},
		{"busy", []int{f.busy}, 0, mostBusy}, {"fsync", []int{f.fsync}, 0, mostFsync},
	}); err != nil {
		return err
	}
	if err := checkLengths(f.seconds, f.warmup); err != nil {
		return err
	}
	switch {
	case most*f.batch > mostBlocks:
		return usagef("--goroutines %d and --batch %d: more than %s of buffers", most, f.batch, byteSize(mostBlocks*filebench.BlockSize))
	case f.direct && f.cached:
		return usagef("--direct and --cached exclude each other")
	case f.write && f.fio:
		return usagef("--fio reads: it does not go with --write")
	case f.overwrite && !(f.write && named):
		return usagef("--overwrite is for --write with a FILE")
	}
	return nil
}

// parseSize reads a number of bytes with an optional unit: K, M, G, T, each also with "iB" or "B", all powers of
// 1024.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTiBkmgtb")
	unit := strings.ToUpper(strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(text[len(digits):]), "b"), "i"))
	n, err := strconv.ParseInt(digits, 10, 64)
	shift, known := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[unit]
	if err != nil || !known || n <= 0 || n > 1<<62>>shift {
		return 0, usagef("--size %q: a number and a unit, such as 256MiB", text)
	}
	n <<= shift
	if n < 64*filebench.BlockSize {
		return 0, usagef("--size %q: at least %d KiB", text, 64*filebench.BlockSize>>10)
	}
	return n / filebench.BlockSize * filebench.BlockSize, nil
}

func runBenchFile(cmd *cobra.Command, flags *benchFileFlags, args []string) (err error) {
	if err := flags.check(len(args) > 0); err != nil {
		return err
	}
	if _, err := flags.driver.config(); err != nil {
		return err
	}
	size, err := parseSize(flags.size)
	if err != nil {
		return err
	}
	if len(args) > 0 && cmd.Flags().Changed("size") {
		return usagef("--size is for the file that is made when no FILE is named")
	}
	ctx, stop := notifyContext(cmd.Context())
	defer stop()
	file, err := prepareFile(ctx, cmd.ErrOrStderr(), flags, args, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Remove()) }()
	plan, err := flags.plan(ctx, cmd.ErrOrStderr(), file)
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
	report := newBenchReport(flags, plan, rows)
	if flags.json {
		return writeJSON(cmd.OutOrStdout(), report)
	}
	return report.writeText(cmd.OutOrStdout(), plan)
}

// prepareFile takes the named file or makes one.
func prepareFile(ctx context.Context, stderr io.Writer, flags *benchFileFlags, args []string, size int64) (*filebench.TestFile, error) {
	if len(args) == 0 {
		fmt.Fprintf(stderr, "making a file of %s ...\n", byteSize(size))
		return filebench.MakeFile(ctx, workDirectories(), size)
	}
	file, err := filebench.UseFile(args[0])
	if err != nil {
		return nil, err
	}
	if flags.write && !file.Tagged && !flags.overwrite {
		return nil, usagef("--write would destroy what is in %q: name no FILE, or add --overwrite", args[0])
	}
	return file, nil
}

// workDirectories are where a file may be made, the best first.
func workDirectories() []string {
	dirs := []string{os.TempDir()}
	if dir, err := os.Getwd(); err == nil {
		dirs = append(dirs, dir)
	}
	if dir, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, dir)
	}
	return append(dirs, "/var/tmp")
}

// plan decides about O_DIRECT and puts everything together.
func (f *benchFileFlags) plan(ctx context.Context, stderr io.Writer, file *filebench.TestFile) (*filebench.Plan, error) {
	file.Direct = f.direct || (file.Made && !f.cached && file.DirectPossible())
	if f.direct && !file.DirectPossible() {
		return nil, fmt.Errorf("--direct: %s under %q has no O_DIRECT", file.System, file.Path)
	}
	if file.Made && !file.Direct && !f.cached {
		fmt.Fprintf(stderr, "%s under %q has no O_DIRECT: reading through the page cache, where a ring gains nothing\n", file.System, file.Path)
	}
	if blocks := file.Size / filebench.BlockSize; f.write && int64(f.batch) > blocks { // each is written once in a batch
		return nil, usagef("--batch %d: the file has %s", f.batch, count(int(blocks), "block"))
	}
	if f.cached {
		if err := file.Warm(ctx); err != nil {
			return nil, err
		}
	}
	if f.fio && !filebench.FioInstalled() {
		fmt.Fprintln(stderr, "--fio: fio is not installed; going on without it")
		f.fio = false
	}
	return &filebench.Plan{
		File: file, Goroutines: f.goroutines, Rounds: f.rounds, Procs: f.procs, OSProcs: f.osProcs, Fio: f.fio,
		Cold: !file.Direct && !f.cached,
		Work: filebench.Work{
			Path: file.Path, Size: file.Size, Direct: file.Direct, Tagged: file.Tagged, Write: f.write, Context: f.context,
			Batch: f.batch, Busy: f.busy, Fsync: f.fsync, Warmup: f.warmup, Seconds: f.seconds,
			Backend: f.driver.backend, Submit: f.driver.submit,
		},
		Run: func(ctx context.Context, work filebench.Work, procs int) (filebench.Sample, error) {
			return filebench.RunChild(ctx, []string{"bench", workerCommand}, work, procs)
		},
		Step: func(int, int, string) {},
	}, nil
}

// benchReport is what a run found, as JSON and as text.
type benchReport struct {
	Version    string              `json:"version"`
	Kernel     string              `json:"kernel"`
	Processors int                 `json:"processors"`
	Procs      int                 `json:"gomaxprocs"`
	File       *filebench.TestFile `json:"file"`
	Operation  string              `json:"operation"` // "read" or "write"
	Batch      int                 `json:"batch"`
	Busy       int                 `json:"busy"`
	Fsync      int                 `json:"fsync"`
	Context    bool                `json:"context"`
	Rounds     int                 `json:"rounds"`
	Seconds    float64             `json:"seconds"`
	Backend    string              `json:"backend"`
	Submit     string              `json:"submit"`
	Rows       []filebench.Row     `json:"rows"`
	Finding    string              `json:"finding"`
}

func newBenchReport(flags *benchFileFlags, plan *filebench.Plan, rows []filebench.Row) *benchReport {
	r := &benchReport{
		Version: version(), Kernel: kernelRelease(), Processors: runtime.NumCPU(), Procs: plan.Procs, File: plan.File, Operation: "read",
		Batch: flags.batch, Busy: flags.busy, Fsync: flags.fsync, Context: flags.context, Rounds: flags.rounds, Seconds: flags.seconds,
		Backend: rows[0].Sides[0].Backend, Submit: rows[0].Sides[0].Submit, Rows: rows, Finding: plan.Finding(rows),
	}
	if flags.write {
		r.Operation = "write"
	}
	if r.Procs == 0 {
		r.Procs = runtime.GOMAXPROCS(0)
	}
	return r
}

func (r *benchReport) writeText(w io.Writer, plan *filebench.Plan) error {
	path := "in the page cache"
	switch {
	case r.File.Direct:
		path = "O_DIRECT"
	case plan.Cold:
		path = "through the page cache, cold at first"
	}
	whose := fmt.Sprintf("%q", r.File.Path)
	if r.File.Made {
		whose = "made for this run"
	}
	fmt.Fprintf(w, "random 4 KiB %ss, %s, of a file of %s on %s (%s)\n", r.Operation, path, byteSize(r.File.Size), r.File.System, whose)
	fmt.Fprintf(w, "%s, %s, GOMAXPROCS %d, %s of %v s (medians)\n", r.Kernel, count(r.Processors, "processor"), r.Procs,
		count(r.Rounds, "round"), r.Seconds)
	if r.Batch > 0 {
		fmt.Fprintf(w, "eddy %ss %s per call\n", r.Operation, count(r.Batch, "block"))
	}
	if r.Context {
		fmt.Fprintln(w, "eddy passes a context that can end")
	}
	if r.Busy > 0 {
		fmt.Fprintf(w, "beside %s\n", count(r.Busy, "computing goroutine"))
	}
	if r.Fsync > 0 {
		fmt.Fprintf(w, "beside %s\n", count(r.Fsync, "fsyncing goroutine"))
	}
	fmt.Fprintln(w)
	if err := plan.WriteTable(w, r.Rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n\"of os\" is eddy's figure divided by os.File's in the same round (median).\n\n%s\n", wrap(r.Finding, 110))
	return err
}

// newBenchWorkerCommand makes the command that is run for each measurement: the order comes as JSON on the standard
// input, the sample goes as JSON to the standard output.
func newBenchWorkerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    workerCommand,
		Hidden: true,
		Args:   argCount(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var work filebench.Work
			if err := json.NewDecoder(cmd.InOrStdin()).Decode(&work); err != nil {
				return err
			}
			cfg, err := driverConfig(work.Backend, work.Submit)
			if err != nil {
				return err
			}
			sample, err := filebench.Measure(work, cfg)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(sample)
		},
	}
}
