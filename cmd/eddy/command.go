package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// errReported is the error of a command that has already told the user everything.
var errReported = errors.New("failed as reported above")

// usageError is a command line that cannot be understood: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "eddy",
		Short: "The I/O driver for Go at work: what this machine supports, servers, a copy, benchmarks",
		Long: `eddy joins epoll, io_uring and Unix signals in one driver for Go programs. This
command shows what that driver can do on this machine and moves real data with
it.

Exit codes: 0 all went well; 1 something failed; 2 the command line was wrong;
130 interrupted by SIGINT; 143 ended by SIGTERM (128 and the signal's number).
Servers (serve, echo) that one of these two ends have done what they should: 0.

Environment: EDDY_BACKEND=uring|epoll|portable forces the backend where
--backend does not.`,
		Example: `  eddy probe                     is io_uring usable here, and if not why
  eddy serve .                   this directory over HTTP, with a log and metrics
  eddy cp -- *.iso /mnt/backup   copy with many reads and writes in flight
  eddy bench echo                eddy's sockets against package net
  eddy bench file                eddy against os.File on this machine's disk`,
		Args:          groupArgs,
		RunE:          showHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(newHelpCommand())
	root.AddCommand(newProbeCommand(), newServeCommand(), newEchoCommand(), newCopyCommand(), newBenchCommand(), newVersionCommand())
	return root
}

// groupArgs and showHelp are for commands that only have commands below them.
func groupArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
	}
	return usagef("unknown command %q%s", args[0], hint)
}

// newHelpCommand is cobra's, except that help on a command that does not exist is an error.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("unknown command %q", strings.Join(args, " "))
			}
			return about.Help()
		},
	}
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// argCount wants between low and high arguments, or at least low if high is negative.
func argCount(low, high int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < low || (high >= 0 && len(args) > high) {
			return usagef("%s; there are %d arguments", what, len(args))
		}
		return nil
	}
}
