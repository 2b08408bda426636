//go:build unix

package main

import (
	"os"
	"os/exec"
	ossignal "os/signal"
	"syscall"
	"testing"
	"time"
)

// measuring starts a benchmark and waits until its file is there.
func measuring(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	stdout, stderr := buffers()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < commandTimeout; time.Sleep(time.Millisecond) {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return
		}
	}
}

func TestInterruptedBenchLeavesItsFile(t *testing.T) {
	// Children of a process that ignores a signal, under nohup(1) say, ignore it, too.
	handled := make(chan os.Signal, 1)
	ossignal.Notify(handled, syscall.SIGHUP)
	defer ossignal.Stop(handled)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		for name, later := range map[string]time.Duration{"making": 0, "measuring": 500 * time.Millisecond} {
			t.Run(signal.String()+" while "+name, func(t *testing.T) {
				dir := t.TempDir()
				t.Setenv("TMPDIR", dir)
				cmd := command(t, "bench", "file", "--size=1MiB", "--seconds=30")
				measuring(t, cmd, dir)
				time.Sleep(later)
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if o := finish(t, cmd); o.code != 128+int(signal) {
					t.Errorf("exit code %d: %s", o.code, o.stderr)
				}
				wantNames(t, dir)
			})
		}
	}
}

// TestIgnoredSignalStopsBench: what nohup or a shell has set to be ignored stays ignored.
func TestIgnoredSignalStopsBench(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	cmd := command(t, "bench", "file", "--size=1MiB", "--seconds=0.2", "--warmup=0", "--rounds=1", "--goroutines=1")
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" INT HUP; exec "$0" "$@"`, os.Args[0]}, cmd.Args[1:]...)
	measuring(t, cmd, dir)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	if o := finish(t, cmd); o.code != 0 {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	wantNames(t, dir)
}
