package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// asCommand makes the test binary be the command: the tests then run it as its users do, in a process of its own.
const asCommand = "EDDY_TEST_AS_COMMAND"

// asHanging makes it a command that is interruptible and hangs.
const asHanging = "EDDY_TEST_AS_HANGING"

// commandTimeout is when a command under test counts as hanging.
const commandTimeout = 60 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asHanging) != "" {
		hang()
	}
	if os.Getenv(asCommand) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// command prepares a run of eddy with args.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	// The race detector lets a process sleep for a second at its end.
	cmd.Env = append(os.Environ(), asCommand+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

type outcome struct {
	stdout, stderr string
	code           int
}

// finish runs cmd, or waits for it if it runs already.
func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var err error
	if cmd.Process == nil {
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err = cmd.Run()
	} else {
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{cmd.Stdout.(*bytes.Buffer).String(), cmd.Stderr.(*bytes.Buffer).String(), cmd.ProcessState.ExitCode()}
	if strings.Contains(o.stderr, "panic:") || strings.Contains(o.stderr, "DATA RACE") {
		t.Fatalf("%q: %s", cmd.Args[1:], o.stderr)
	}
	return o
}

// eddyCommand runs eddy with args and wants this exit code.
func eddyCommand(t *testing.T, code int, args ...string) outcome {
	t.Helper()
	o := finish(t, command(t, args...))
	if o.code != code {
		t.Fatalf("eddy %q: exit code %d, want %d\n%s%s", args, o.code, code, o.stdout, o.stderr)
	}
	return o
}

// wantText fails unless text contains each of the parts.
func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

// TestWrongCommandLineLooksLikeFailure: scripts tell a wrong command line (2) from a failed one (1) by the exit code.
func TestWrongCommandLineLooksLikeFailure(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"}, {"--nonsense"}, {"version", "extra"}, {"probe", "extra"}, {"probe", "--backend=kqueue"},
		{"cp"}, {"cp", "one"}, {"cp", "--preserve=owner", "a", "b"}, {"cp", "--preserve=none,mode", "a", "b"},
		{"cp", "--progress=maybe", "a", "b"}, {"cp", "--submit=mail", "a", "b"}, {"bench", "nonsense"},
		{"bench", "file", "a", "b"}, {"bench", "file", "--goroutines=0"}, {"bench", "file", "--goroutines=x"},
		{"bench", "file", "--seconds=0"}, {"bench", "file", "--seconds=NaN"}, {"bench", "file", "--warmup=-1"}, {"bench", "file", "--rounds=0"},
		{"bench", "file", "--batch=-1"}, {"bench", "file", "--direct", "--cached"},
		{"bench", "file", "--size=much"}, {"bench", "file", "--size=-1GiB"}, {"bench", "file", "--size=1B"},
		{"bench", "file", "--size=99999999999GiB"}, {"bench", "file", "--size=1GiB", os.Args[0]},
		{"bench", "file", "--write", os.Args[0]}, {"bench", "file", "--overwrite"},
		{"serve"}, {"serve", "a", "b"}, {"serve", "--backend=kqueue", "."}, {"serve", "--log=xml", "."}, {"serve", "--grace=-1s", "."},
		{"echo", "extra"}, {"echo", "--engine=tokio"}, {"echo", "--network=ip"}, {"echo", "--network=unix"}, {"echo", "--network=unixgram"},
		{"echo", "--backend=kqueue"},
		{"bench", "echo", "extra"}, {"bench", "echo", "--conns=0"}, {"bench", "echo", "--conns="}, {"bench", "echo", "--conns=x"},
		{"bench", "echo", "--idle=-1"}, {"bench", "echo", "--busy=-1"}, {"bench", "echo", "--rate=-5"}, {"bench", "echo", "--size=0"},
		{"bench", "echo", "--size=99999999999"}, {"bench", "echo", "--size=1048576", "--depth=1024"}, {"bench", "echo", "--depth=0"},
		{"bench", "echo", "--seconds=0"}, {"bench", "echo", "--seconds=NaN"}, {"bench", "echo", "--warmup=-1"}, {"bench", "echo", "--rounds=0"},
		{"bench", "echo", "--network=unixgram"}, {"bench", "echo", "--network=udp", "--http"}, {"bench", "echo", "--network=udp", "--conns=1000"}, {"bench", "echo", "--burst=0"}, {"bench", "echo", "--burst=2"}, {"bench", "echo", "--fsync=-1"},
		{"bench", "echo", "--procs=-1"}, {"bench", "echo", "--loops=-1"}, {"bench", "echo", "--stream", "--size=5"},
		{"bench", "echo", "--stream", "--depth=5"}, {"bench", "echo", "--http", "--size=5"}, {"bench", "echo", "--http", "--stream"},
		{"bench", "echo", "--backend=kqueue"},
		// What would end in the middle: out of memory, in a panic, for want of threads, or with figures that are no numbers.
		{"bench", "file", "--batch=1000000000"}, {"bench", "file", "--batch=4611686018427387904"}, {"bench", "file", "--goroutines=100000"},
		{"bench", "file", "--goroutines=1,8192", "--batch=64"}, {"bench", "file", "--fsync=100000"}, {"bench", "file", "--busy=1000000000"},
		{"bench", "file", "--rounds=1000000000"}, {"bench", "file", "--procs=1000000000"}, {"bench", "file", "--os-procs=1000000000"},
		{"bench", "file", "--seconds=1e-10"}, {"bench", "echo", "--fsync=100000"}, {"bench", "echo", "--warmup=0", "--seconds=1e-10"},
	} {
		o := eddyCommand(t, exitUsage, args...)
		wantText(t, o.stderr, "--help")
		if o.stdout != "" {
			t.Errorf("%q wrote %q to the standard output", args, o.stdout)
		}
	}
}

func TestHelpFails(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"bench", "--help"}, {"cp", "--help"}, {"bench", "file", "--help"}, {"probe", "--help"},
		{"serve", "--help"}, {"echo", "--help"}, {"bench", "echo", "--help"}} {
		o := eddyCommand(t, 0, args...)
		wantText(t, o.stdout, "Usage:", "xamples:")
	}
}

func TestVersionIsEmpty(t *testing.T) {
	wantText(t, eddyCommand(t, 0, "version").stdout, "eddy ", "go1.")
}

// TestFullStandardOutputIsIgnored: what could not be printed was not done.
func TestFullStandardOutputIsIgnored(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: no /dev/full here: %v", err)
	}
	defer full.Close()
	for _, args := range [][]string{{"probe"}, {"probe", "--json"}, {"version"}} {
		cmd := command(t, args...)
		cmd.Stdout = full
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailure {
			t.Errorf("%q to a full device: %v, want exit code %d", args, err, exitFailure)
		}
	}
}

// hang stands for a command whose clean-up waits for a file system that does not answer.
func hang() {
	drv, err := eddy.New(eddy.Config{})
	if err != nil {
		panic(err)
	}
	ctx, _, err := interruptible(context.Background(), drv)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	<-ctx.Done()
	fmt.Println(context.Cause(ctx))
	select {}
}

// TestSecondInterruptIsIgnored: whoever presses ^C twice wants to leave.
func TestSecondInterruptIsIgnored(t *testing.T) {
	cmd := command(t)
	cmd.Env = append(cmd.Env, asHanging+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, want := range []string{"ready", "interrupted (interrupt)"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, want %q (%v)", lines.Text(), want, lines.Err())
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}
