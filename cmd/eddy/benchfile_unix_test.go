//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func TestInterruptedBenchLeavesItsFile(t *testing.T) {
	for name, later := range map[string]time.Duration{"making": 0, "measuring": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			cmd := command(t, "bench", "file", "--size=1MiB", "--seconds=30")
			stdout, stderr := buffers()
			cmd.Stdout, cmd.Stderr = stdout, stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); time.Since(began) < commandTimeout; time.Sleep(time.Millisecond) {
				if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
					break
				}
			}
			time.Sleep(later)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if o := finish(t, cmd); o.code != 128+int(syscall.SIGINT) {
				t.Errorf("exit code %d: %s", o.code, o.stderr)
			}
			wantNames(t, dir)
		})
	}
}
