package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A terminal sends ^C to all processes of a group: those of a measurement do not turn an interruption into a failure, and
// leave nothing behind.
func TestInterruptOfTheGroupLooksLikeFailure(t *testing.T) {
	for name, args := range map[string][]string{
		"file": {"bench", "file", "--size=256KiB", "--seconds=0.02", "--warmup=0", "--rounds=400", "--goroutines=1", "--fsync=1"},
		"echo": {"bench", "echo", "--conns=1", "--seconds=0.02", "--warmup=0", "--rounds=400", "--fsync=1"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := map[string]int{}
			left := 0
			for i := range 10 {
				dir := t.TempDir()
				t.Setenv("TMPDIR", dir)
				cmd := command(t, args...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				stdout, stderr := buffers()
				cmd.Stdout, cmd.Stderr = stdout, stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(150*time.Millisecond + time.Duration(i)*18*time.Millisecond)
				syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
				if o := finish(t, cmd); o.code != 130 {
					wrong[fmt.Sprintf("%d: %s", o.code, strings.TrimSpace(stderr.String()))]++
				}
				entries, _ := os.ReadDir(dir)
				left += len(entries)
			}
			if len(wrong) > 0 || left > 0 {
				t.Errorf("of 10: %d files left behind, wrong ends: %v", left, wrong)
			}
		})
	}
}

// The answer to HEAD has no body, whatever the handler writes.
func TestHeadIsLoggedWithBytesNeverSent(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, name := range []string{"metrics", "", "nothing"} {
		ask(t, "HEAD", s.first+name)
	}
	if n := metric(t, s.first, "eddy_http_response_bytes_total"); n != 0 {
		t.Errorf("three HEAD requests, and %v bytes of answers", n)
	}
	s.end(t, syscall.SIGTERM, 0)
	seen := 0
	for _, line := range strings.Split(s.stderr.String(), "\n") {
		if strings.Contains(line, "method=HEAD") {
			seen++
			if !strings.Contains(line, "bytes=0") {
				t.Error(line)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d lines", seen)
	}
}

func TestTooManyLoopsFailInTheChild(t *testing.T) {
	eddyCommand(t, exitUsage, "bench", "echo", "--loops=1025", "--conns=1", "--seconds=0.01", "--warmup=0", "--rounds=1")
}

func TestHelpOfNothingSucceeds(t *testing.T) {
	eddyCommand(t, exitUsage, "help", "bogus")
	eddyCommand(t, exitUsage, "help", "bench", "bogus")
}

// The name that a link has while it is being made means nothing to a reader.
func TestCopyNamesATemporaryLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	ro := filepath.Join(dir, "sys")
	if err := os.Mkdir(ro, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", ro, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("SKIPPED: no tmpfs can be mounted: %v", err)
	}
	defer syscall.Unmount(ro, 0)
	o := eddyCommand(t, exitFailure, "cp", filepath.Join(dir, "link"), ro)
	if strings.Contains(o.stderr, ".eddy-") {
		t.Error(o.stderr)
	}
}
