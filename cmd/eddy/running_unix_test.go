//go:build unix

package main

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// syncBuffer can be read while a process writes to it.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// running is a server under test.
type running struct {
	cmd    *exec.Cmd
	first  string // its first line
	stderr *syncBuffer
	over   bool
}

// startServer runs eddy with args until it has written its first line.
func startServer(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{cmd: command(t, args...), stderr: &syncBuffer{}}
	r.cmd.Stderr = r.stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !r.over {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
		}
	})
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		r.over = true
		_ = r.cmd.Wait()
		t.Fatalf("eddy %q wrote %q and no line: %v\n%s", args, line, err, r.stderr)
	}
	r.first = strings.TrimSuffix(line, "\n")
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return r
}

func (r *running) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end and wants this exit code.
func (r *running) wait(t *testing.T, code int) {
	t.Helper()
	r.over = true
	_ = r.cmd.Wait()
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("eddy %q: exit code %d, want %d\n%s", r.cmd.Args[1:], got, code, r.stderr)
	}
	if text := r.stderr.String(); strings.Contains(text, "panic:") || strings.Contains(text, "DATA RACE") {
		t.Errorf("eddy %q: %s", r.cmd.Args[1:], text)
	}
}

// end sends the signal and wants this exit code.
func (r *running) end(t *testing.T, s syscall.Signal, code int) {
	t.Helper()
	r.signal(t, s)
	r.wait(t, code)
}
