package filebench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eddyio/eddy/cmd/eddy/internal/group"
)

// childPatience is how much longer than planned a measurement may take before it counts as hanging.
const childPatience = 60 * time.Second

// threadsEvery is how often the number of threads of a measuring process is looked at, from outside.
const threadsEvery = 20 * time.Millisecond

// RunChild carries out work in a new process of this program: args make it call [Measure] and write what it returns
// as JSON.
func RunChild(ctx context.Context, args []string, work Work, procs int) (sample Sample, err error) {
	if work.Fsync > 0 {
		// Here and not in the child, which is ended without a chance to clean up.
		if work.FsyncDir, err = os.MkdirTemp(filepath.Dir(work.Path), ".eddy-bench-fsync-"); err != nil {
			return sample, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(work.FsyncDir)) }()
	}
	self, err := os.Executable()
	if err != nil {
		return sample, err
	}
	order, err := json.Marshal(work)
	if err != nil {
		return sample, err
	}
	limit := seconds(work.Warmup+work.Seconds) + childPatience
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the measurement hangs: not done after %v", limit))
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(order), &stdout, &stderr
	group.Own(cmd)
	cmd.Env = os.Environ()
	if procs > 0 {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(procs))
	}
	if err := cmd.Start(); err != nil {
		return sample, err
	}
	threads := watchThreads(cmd.Process.Pid)
	err = cmd.Wait()
	most := threads()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.New(text)
		}
		return sample, err
	}
	if err := json.Unmarshal(stdout.Bytes(), &sample); err != nil {
		return sample, fmt.Errorf("the measuring process answered %q: %w", stdout.String(), err)
	}
	if most > 0 {
		sample.Threads = most
	}
	return sample, nil
}

// watchThreads samples the number of threads of a process until the function that it returns is called, which gives
// the highest number seen, or 0 where the system does not tell.
func watchThreads(pid int) (highest func() int) {
	stop, result := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(threadsEvery)
		defer tick.Stop()
		most := 0
		for {
			most = max(most, threadCount(pid))
			select {
			case <-tick.C:
			case <-stop:
				result <- most
				return
			}
		}
	}()
	return func() int {
		close(stop)
		return <-result
	}
}

// threadCount reads the "Threads" line of /proc/PID/status: proc_pid_status(5).
func threadCount(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, found := strings.Cut(string(status), "\nThreads:")
	if !found {
		return 0
	}
	line, _, _ := strings.Cut(after, "\n")
	n, _ := strconv.Atoi(strings.TrimSpace(line))
	return n
}
