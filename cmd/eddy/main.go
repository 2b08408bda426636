package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// The exit codes besides 128+signal.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var (
		usage       *usageError
		interrupted *interruptedError
	)
	switch {
	case errors.Is(err, errReported):
		return exitFailure
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v\nTry '%s --help'.\n", cmd.CommandPath(), err, cmd.CommandPath())
		return exitUsage
	case errors.As(err, &interrupted):
		fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
		return interrupted.exitCode()
	default:
		fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
		return exitFailure
	}
}
