package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy/cmd/eddy/internal/echobench"
)

// quickEcho makes a measurement as short as it can be; what it measures is worth nothing.
var quickEcho = []string{"bench", "echo", "--warmup=0.02", "--seconds=0.1", "--rounds=1"}

func benchEchoJSON(t *testing.T, args ...string) echoReport {
	t.Helper()
	o := eddyCommand(t, 0, slices.Concat(quickEcho, []string{"--json"}, args)...)
	var r echoReport
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	return r
}

func TestBenchEchoJSONLosesItsFields(t *testing.T) {
	r := benchEchoJSON(t, "--conns=2,4", "--rounds=2")
	if r.Version == "" || r.Kernel == "" || r.Backend == "" || r.Processors < 1 || r.Size != 64 || r.Depth != 1 || r.Network != "tcp" || r.Rounds != 2 {
		t.Errorf("incomplete: %+v", r)
	}
	if len(r.Rows) != 2 || r.Rows[0].Conns != 2 || r.Rows[1].Conns != 4 {
		t.Fatalf("rows: %+v", r.Rows)
	}
	for _, row := range r.Rows {
		if len(row.Sides) != 2 || row.Ratio.Requests <= 0 || row.Ratio.P99 <= 0 {
			t.Fatalf("%v: %+v", row.Load, row)
		}
		for i, want := range []string{echobench.SideEddy, echobench.SideStd} {
			s := row.Sides[i]
			if s.Side != want || s.Requests <= 0 || s.CPU <= 0 || s.LoadCPU <= 0 || s.P50 <= 0 || s.P99 < s.P50 || s.Worst < s.P99*0.99 || len(s.Rounds) != 2 {
				t.Errorf("%v, side %q: %+v", row.Load, want, s)
			}
		}
	}
	o := eddyCommand(t, 0, slices.Concat(quickEcho, []string{"--json", "--conns=1"})...)
	for _, name := range []string{
		"requests_per_second", "cpu_seconds_per_million", "p50_us", "p99_us", "worst_us", "busy_cpus", "busy_spins_per_second",
		"fsyncs_per_second", "bytes_per_idle_connection", "connections", "idle_connections", "computing_goroutines", "rate", "ratio",
	} {
		wantText(t, o.stdout, `"`+name+`":`)
	}
}

// silent says that a side has answered nothing, or that what was to run beside it did not.
func silent(r echoReport) bool {
	return slices.ContainsFunc(r.Rows[0].Sides, func(s echobench.Result) bool {
		return s.Requests <= 0 || r.Rows[0].Load.Busy > 0 && s.BusyCPUs <= 0 || r.Fsync > 0 && s.Fsyncs <= 0
	})
}

func TestBenchEchoVariantFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, flags := range []string{
		"--network=unix", "--network=udp", "--network=udp --size=9000", "--network=udp --backend=portable", "--depth=16", "--depth=16 --size=4096", "--size=1", "--size=100000", "--stream", "--http", "--http --depth=4",
		"--network=unix --http", "--backend=epoll", "--backend=portable", "--procs=1", "--loops=1", "--park-at-once", "--garbage",
		"--rate=2000", "--rate=1000 --http", "--busy=1 --burst=1ms", "--fsync=1", "--idle=300", "--pin", "--rate=500 --busy=1",
	} {
		args := append([]string{"--conns=3"}, strings.Fields(flags)...)
		r := benchEchoJSON(t, args...)
		if silent(r) { // on a busy machine a process, or its disk, may not run for as long as that
			r = benchEchoJSON(t, append(args, "--seconds=3")...)
		}
		for _, s := range r.Rows[0].Sides {
			if s.Requests <= 0 || s.P50 <= 0 {
				t.Errorf("%s: %s answered nothing: %+v", flags, s.Side, s)
			}
			if load := r.Rows[0].Load; (load.Busy > 0) != (s.BusyCPUs > 0) || (load.Idle > 0) != (s.IdleBytes > 0) || (r.Fsync > 0) != (s.Fsyncs > 0) {
				t.Errorf("%s: %s: %+v", flags, s.Side, s)
			}
		}
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestRateIsNotKept: an open loop that waits for replies is a closed one.
func TestRateIsNotKept(t *testing.T) {
	r := benchEchoJSON(t, "--conns=8", "--rate=2000", "--seconds=0.5")
	for _, s := range r.Rows[0].Sides {
		if s.Requests < 1990 || s.Requests > 2010 {
			t.Errorf("%s: %v requests/s, want 2000", s.Side, s.Requests)
		}
	}
}

// TestBatchesAreCountedAsRequests: --rate is of requests, however many of them are sent together.
func TestBatchesAreCountedAsRequests(t *testing.T) {
	r := benchEchoJSON(t, "--conns=8", "--rate=2000", "--depth=4", "--seconds=0.5")
	for _, s := range r.Rows[0].Sides {
		if s.Requests < 1990 || s.Requests > 2010 {
			t.Errorf("%s: %v requests/s, want 2000", s.Side, s.Requests)
		}
	}
}

func TestBenchEchoTableIsEmpty(t *testing.T) {
	o := eddyCommand(t, 0, slices.Concat(quickEcho, []string{"--conns=2", "--busy=0,1", "--idle=10"})...)
	wantText(t, o.stdout, "requests/s", "of std", "p99", "2 conns +10 idle", "K=1", "computing", "CPUs", "B/idle conn", "eddy ran on its")
	if strings.Contains(o.stdout, "CPU s/M") {
		t.Errorf("the computing goroutines' time is shown as the server's:\n%s", o.stdout)
	}
	wantText(t, eddyCommand(t, 0, slices.Concat(quickEcho, []string{"--conns=2"})...).stdout, "CPU s/M")
}

// TestManyConnectionsAreUnclear: what cannot be opened is said, and by whom.
func TestManyConnectionsAreUnclear(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max > 1<<20-100 {
		t.Skipf("SKIPPED: %d files may be open here", limit.Max)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit.Cur, Max: limit.Max + 1}); err == nil {
		t.Skip("SKIPPED: this user may raise the limit")
	}
	wantText(t, eddyCommand(t, exitFailure, slices.Concat(quickEcho, []string{"--conns=1", "--idle=1048575"})...).stderr, "files that a process may open", "ulimit")
}

// TestInterruptedBenchEchoLeavesItsDirectory ends it as a service manager does, and as a terminal does: that one sends the
// signal to a whole group of processes.
func TestInterruptedBenchEchoLeavesItsDirectory(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for name, interrupt := range map[string]struct {
			whom int // 1 the process, -1 its group
			sig  syscall.Signal
		}{"SIGTERM": {1, syscall.SIGTERM}, "ctrl-c": {-1, syscall.SIGINT}} {
			t.Run(network+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				t.Setenv("TMPDIR", dir)
				cmd := command(t, "bench", "echo", "--conns=2", "--seconds=30", "--network="+network)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				stdout, stderr := buffers()
				cmd.Stdout, cmd.Stderr = stdout, stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				for began := time.Now(); network == "unix" && time.Since(began) < commandTimeout; time.Sleep(time.Millisecond) {
					if sockets, _ := filepath.Glob(filepath.Join(dir, "*", "socket")); len(sockets) > 0 {
						break
					}
				}
				time.Sleep(300 * time.Millisecond) // until it measures; earlier is fine, too
				if err := syscall.Kill(interrupt.whom*cmd.Process.Pid, interrupt.sig); err != nil {
					t.Fatal(err)
				}
				if o := finish(t, cmd); o.code != 128+int(interrupt.sig) {
					t.Errorf("exit code %d: %s", o.code, o.stderr)
				}
				wantNames(t, dir)
			})
		}
	}
}
