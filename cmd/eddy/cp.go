package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/copytree"
)

// shutdownPatience is how long a command waits at its end for requests that the kernel still has.
const shutdownPatience = 2 * time.Second

type copyFlags struct {
	driver   driverFlags
	preserve []string
	progress string
	noSync   bool
	verbose  bool
}

func newCopyCommand() *cobra.Command {
	var flags copyFlags
	cmd := &cobra.Command{
		Use:   "cp [flags] SRC... DST",
		Short: "Copy files and trees through the driver, many reads and writes in flight",
		Long: `Copy each SRC to DST, or into DST if it is a directory. Directories are copied
with all they hold; no -r is needed.

A file appears under its real name only when it is complete and synced to disk:
until then it is ".NAME.eddy-XXXXXXXX" beside it, and that is removed on any
error and on SIGINT, SIGTERM and SIGHUP. A second signal ends the command at
once. A directory must therefore take new entries even where a file in it is only
replaced: who is not root cannot copy a tree with read-only directories to the
same place twice.

Holes of sparse files stay holes. Symbolic links are copied as links. Fifos,
sockets and devices are refused, as are a directory's copy into itself and a
file's copy onto itself.

Where sources that end in /. have the same names below them, the last one wins.
Directories that exist get the source's permissions and times, but never lose a
set-gid or sticky bit, and with --preserve=none they stay as they are.

A file that is being written to is copied as long as it was when it was opened;
one that becomes shorter is an error. Files without a size, as in /proc, are
read to their end. Owners, extended attributes and hard links between files are
not kept, set-uid and set-gid bits therefore neither. Modes and times that the
destination's file system refuses are left out; if --preserve asks for them they
are an error, and the file is there all the same.

After an error the other files are copied all the same; all errors are listed at
the end.

Exit codes: 0 all was copied; 1 something was not; 2 the command line was wrong;
129 SIGHUP; 130 SIGINT; 143 SIGTERM.`,
		Example: `  eddy cp disk.img /mnt/backup/        one file into a directory
  eddy cp photos music /mnt/backup     two trees into a directory
  eddy cp project/. copy               what is in project into the existing directory copy
  eddy cp --preserve=none a b          permissions by the umask, times of now`,
		Args:                  argCount(2, -1, "cp takes one or more sources and a destination"),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCopy(cmd, &flags, args[:len(args)-1], args[len(args)-1])
		},
	}
	cmd.Flags().StringSliceVar(&flags.preserve, "preserve", []string{"mode", "times"}, "what to keep: mode, times, or none")
	cmd.Flags().StringVar(&flags.progress, "progress", "auto", "a progress bar: auto (on a terminal), always, never")
	cmd.Flags().BoolVar(&flags.noSync, "no-sync", false, "do not wait until the data is on disk: faster, and a crash may leave empty files")
	cmd.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "say at the end how much was copied")
	flags.driver.register(cmd.Flags())
	return cmd
}

// options checks the flags and turns them into the copy's options, but for the driver.
func (f *copyFlags) options(cmd *cobra.Command) (copytree.Options, error) {
	opts := copytree.Options{Sync: !f.noSync, Progress: new(copytree.Progress), MustKeep: cmd.Flags().Changed("preserve")}
	for _, p := range f.preserve {
		switch p {
		case "mode":
			opts.KeepMode = true
		case "times":
			opts.KeepTimes = true
		case "none":
		default:
			return opts, usagef("--preserve %q: it is a list of mode and times, or none", p)
		}
	}
	if slices.Contains(f.preserve, "none") && len(f.preserve) > 1 {
		return opts, usagef("--preserve: none stands alone")
	}
	return opts, nil
}

func runCopy(cmd *cobra.Command, flags *copyFlags, sources []string, dst string) error {
	opts, err := flags.options(cmd)
	if err != nil {
		return err
	}
	cfg, err := flags.driver.config()
	if err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	showBar, err := wantProgress(flags.progress, stderr)
	if err != nil {
		return err
	}
	drv, err := eddy.New(cfg)
	if err != nil {
		return err
	}
	opts.Driver = drv
	defer shutDown(drv, stderr, cmd.CommandPath())
	ctx, stop, err := interruptible(cmd.Context(), drv)
	if err != nil {
		return err
	}
	defer stop()

	end := func() {}
	if showBar {
		end = startCopyBar(ctx, stderr, opts.Progress, sources).end
	}
	started := time.Now()
	report, err := copytree.Copy(ctx, opts, sources, dst)
	end()
	reportFailures(stderr, cmd.CommandPath(), report)
	var interrupted *interruptedError
	if errors.As(err, &interrupted) {
		return fmt.Errorf("%w: %s copied, nothing incomplete under a real name", err, amount(report))
	}
	if err != nil {
		return err
	}
	if report.Files > 0 && (flags.verbose || showBar) {
		took := time.Since(started)
		fmt.Fprintf(stderr, "%s copied in %v (%s/s), backend %s\n", amount(report), took.Round(time.Millisecond),
			byteSize(int64(float64(report.Bytes)/took.Seconds())), drv.Status().Backend)
	}
	if report.Failed+report.Unkept > 0 {
		return errReported
	}
	return nil
}

// shutDown ends drv; what the kernel does not give back in time is worth a line and nothing more.
func shutDown(drv *eddy.Driver, stderr io.Writer, command string) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	if err := drv.Shutdown(ctx); err != nil {
		fmt.Fprintf(stderr, "%s: at the end: %v\n", command, err)
	}
}

func reportFailures(stderr io.Writer, command string, report copytree.Report) {
	for _, f := range report.Failures {
		var unkept *copytree.UnkeptError
		if errors.As(f.Err, &unkept) {
			fmt.Fprintf(stderr, "%s: %q is copied, but not with its mode and times: %s\n", command, f.Source, reason(unkept.Unwrap()))
			continue
		}
		if f.Source == f.Destination {
			fmt.Fprintf(stderr, "%s: %q: %s\n", command, f.Source, reason(f.Err))
			continue
		}
		fmt.Fprintf(stderr, "%s: cannot copy %q to %q: %s\n", command, f.Source, f.Destination, reason(f.Err))
	}
	if more := report.Failed + report.Unkept - int64(len(report.Failures)); more > 0 {
		fmt.Fprintf(stderr, "%s: and %d more\n", command, more)
	}
	if report.Failed > 1 {
		fmt.Fprintf(stderr, "%s: %d not copied; %s copied\n", command, report.Failed, amount(report))
	}
}

// reason is err without the path, which the line names already, or names as a temporary file that means nothing to
// its reader.
func reason(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, reason(e))
		}
		return strings.Join(all, "; ")
	}
	if link, ok := err.(*os.LinkError); ok {
		return link.Op + ": " + link.Err.Error()
	}
	if path, ok := err.(*fs.PathError); ok {
		if path.Op == "lstat" || path.Op == "stat" {
			return path.Err.Error()
		}
		return path.Op + ": " + path.Err.Error()
	}
	return err.Error()
}

func amount(r copytree.Report) string {
	files := count(int(r.Files), "file")
	if r.Links > 0 {
		files += " and " + count(int(r.Links), "link")
	}
	return files + " with " + byteSize(r.Bytes)
}
