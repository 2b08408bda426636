package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Compare eddy with the standard library on this machine",
		Long: `Compare eddy with the standard library on this machine: an echo server on eddy's
sockets and on package net, then random reads of a file that it makes for itself
by eddy and by os.File. It takes about a minute.`,
		Example: `  eddy bench               both, briefly
  eddy bench echo          an echo server on eddy's sockets and on package net
  eddy bench file          random reads of a file that it makes for itself
  eddy bench echo --help   what else it can measure`,
		Args: groupArgs,
		RunE: benchBoth,
	}
	cmd.AddCommand(newBenchFileCommand(), newBenchWorkerCommand(), newBenchEchoCommand(), newEchoServerCommand(), newEchoLoadCommand())
	return cmd
}

// benchBoth runs both benchmarks, with fewer rounds than they have by themselves.
func benchBoth(cmd *cobra.Command, _ []string) error {
	echo, file := newBenchEchoCommand(), newBenchFileCommand()
	echo.SetArgs([]string{"--conns", "8,64", "--seconds", "1", "--rounds", "3"})
	file.SetArgs([]string{"--seconds", "1", "--rounds", "3"})
	for i, c := range []*cobra.Command{echo, file} {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetOut(cmd.OutOrStdout())
		c.SetErr(cmd.ErrOrStderr())
		if err := c.ExecuteContext(cmd.Context()); err != nil {
			return err
		}
	}
	return nil
}
