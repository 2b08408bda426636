package main

import (
	"github.com/spf13/cobra"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Compare eddy with the standard library on this machine",
		Example: `  eddy bench file          random reads of a file that it makes for itself
  eddy bench file --help   what else it can measure`,
		Args: groupArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(newBenchFileCommand(), newBenchWorkerCommand())
	return cmd
}
