// Command run boots Debian's kernels in emulated machines, has each run the
// module's tests, and reports. It also runs them as programs for other
// processors. See docs/kernels.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// settings is what the command line says.
type settings struct {
	cache    string        // for kernels and package lists
	logs     string        // for consoles
	accel    string        // qemu's -accel
	only     string        // names of machines, separated by commas
	suites   string        // names of suites likewise; "" for all
	run      string        // as go test -run
	parallel int           // machines at a time
	timeout  time.Duration // for one machine
	limit    time.Duration // for all
	verbose  bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == insideArgument {
		os.Exit(inside(os.Args[2:]))
	}
	var s settings
	cache := os.Getenv("EDDY_KERNELS")
	if dir, err := os.UserCacheDir(); cache == "" && err == nil {
		cache = filepath.Join(dir, "eddy-kernels")
	}
	flag.StringVar(&s.cache, "cache", cache, "`directory` for kernels; EDDY_KERNELS says so too")
	flag.StringVar(&s.logs, "logs", "", "`directory` for the consoles' output")
	flag.StringVar(&s.accel, "accel", "tcg", "qemu's `accelerator`; kvm where that works")
	flag.StringVar(&s.only, "only", "", "only the machines with these `names`, separated by commas")
	flag.StringVar(&s.suites, "suites", "", "only the packages with these `names`, separated by commas")
	flag.StringVar(&s.run, "run", "", "only the tests that match the `pattern`")
	flag.IntVar(&s.parallel, "j", 2, "machines at a `time`")
	flag.DurationVar(&s.timeout, "timeout", 7*time.Minute, "for one machine")
	flag.DurationVar(&s.limit, "limit", 14*time.Minute, "for all machines, with the fetching")
	flag.BoolVar(&s.verbose, "v", false, "name every skipped test")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	begun := time.Now()
	reports, err := runAll(ctx, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(exitUnknown)
	}
	printReports(os.Stdout, reports, s.verbose)
	fmt.Printf("%d machines in %v\n", len(reports), time.Since(begun).Round(time.Second))
	printTotal(os.Stdout, reports)
	os.Exit(verdict(reports))
}

// The exit status. That a machine could not be run to its end, for want of a
// kernel or of time, says nothing about the module; but it is no success.
const (
	exitGood    = 0
	exitBad     = 1 // a test failed, or a machine is not as it ought to be
	exitUnknown = 3 // none did, but not all machines got to their end
)

func verdict(reports []*report) int {
	status := exitGood
	for _, r := range reports {
		switch {
		case r.good():
		case r.transcript.Done || r.failures() > 0:
			return exitBad
		default:
			status = exitUnknown
		}
	}
	return status
}

// runAll runs every machine and returns what became of each, in the order of
// the list.
func runAll(ctx context.Context, s settings) ([]*report, error) {
	list, err := chosen(s.only)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		m.timeout = s.timeout * 3 / 4
		if s.run != "" {
			m.pattern = s.run
		}
		if s.suites != "" {
			m.only = strings.Split(s.suites, ",")
		}
	}
	if s.cache == "" {
		return nil, fmt.Errorf("no directory for kernels: set EDDY_KERNELS")
	}
	if err := require(s, list); err != nil {
		return nil, err
	}
	if s.logs == "" {
		s.logs = filepath.Join(s.cache, "logs")
	}
	if err := os.MkdirAll(s.logs, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "eddy-kernels-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil { // tests open files in it as other users
		return nil, err
	}
	if err := fetchKernels(ctx, s, list); err != nil {
		return nil, err
	}
	built := map[string]*lazy{}
	for _, m := range list {
		if built[m.arch] == nil {
			built[m.arch] = &lazy{arch: m.arch}
		}
		built[m.arch].wanted = append(built[m.arch].wanted, m)
	}
	reports := make([]*report, len(list))
	slots := make(chan struct{}, max(1, s.parallel))
	var all sync.WaitGroup
	for i, m := range list {
		all.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; all.Done() }()
			fmt.Printf("%s: begun\n", m.name)
			reports[i] = runOne(ctx, s, work, m, built[m.arch])
			fmt.Println(reports[i].line())
		}()
	}
	all.Wait()
	return reports, nil
}

func runOne(ctx context.Context, s settings, work string, m *machine, l *lazy) *report {
	r := &report{machine: m}
	b, err := l.get(ctx, work)
	if err != nil {
		r.faults = append(r.faults, err.Error())
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	begun := time.Now()
	log, err := os.Create(filepath.Join(s.logs, m.name+".log"))
	if err != nil {
		r.faults = append(r.faults, err.Error())
		return r
	}
	defer log.Close()
	if m.suite == "" {
		r.err = runUser(ctx, m, b, r, log)
	} else {
		r.err = boot(ctx, s, work, m, b, r, log)
	}
	r.took = time.Since(begun)
	r.log = log.Name()
	r.judge(b)
	return r
}

// chosen is the machines with these names, or all.
func chosen(only string) ([]*machine, error) {
	if only == "" {
		return machines, nil
	}
	var list []*machine
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, m := range machines {
			if m.name == name {
				list, found = append(list, m), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no machine %q", name)
		}
	}
	return list, nil
}
