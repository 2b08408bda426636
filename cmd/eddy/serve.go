package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/webserver"
)

type serveFlags struct {
	addr      string
	backend   string
	tls       bool
	logFormat string
	grace     time.Duration
}

func newServeCommand() *cobra.Command {
	var flags serveFlags
	cmd := &cobra.Command{
		Use:   "serve [flags] DIR",
		Short: "Serve the files under a directory over HTTP, on eddy's sockets",
		Long: `Serve the files under DIR over HTTP with net/http on eddy's sockets: directory
pages, ranges, conditional requests; HTTP/2 with --tls-self-signed. Files go to
plain connections with sendfile(2). Dotfiles such as .git and .env are served
and listed like all others. Links that lead out of DIR, or begin with a slash, and
files that are neither regular nor directories, are not served.

The first line on the standard output is the URL. Each request is a line of the
log on the standard error: method, path, status, bytes of the body, duration (in
nanoseconds with --log json), remote, proto. What net/http refuses itself, because
it is malformed or its head is too large, is neither logged nor counted.
` + webserver.MetricsPath + ` has counts and durations of requests, the driver's and Go's own
metrics, in Prometheus' text format. Whoever can reach the server can read it,
and it hides a file of that name.

SIGINT and SIGTERM end it: it stops listening, finishes the requests under way,
and exits with 0. A second signal ends it at once.

Exit codes: 0 ended by SIGINT or SIGTERM, and all requests were answered; 1 it
failed, or requests were not answered within --grace; 2 the command line was
wrong; 129 ended by SIGHUP; 130 or 143 ended by a second signal.`,
		Example: `  eddy serve .                                        this directory, on http://localhost:8080/
  eddy serve --addr :80 /srv/www                      to everybody
  eddy serve --tls-self-signed --addr localhost:8443 .
  curl -s localhost:8080/metrics | grep ^eddy_        what the driver has done
  eddy serve --log json . 2>access.log`,
		Args: argCount(1, 1, "serve takes one DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return runServe(cmd, &flags, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.addr, "addr", "localhost:8080", "`address` to listen on, with port 0 for any free one")
	registerBackend(f, &flags.backend)
	f.BoolVar(&flags.tls, "tls-self-signed", false, "HTTPS and HTTP/2, with a certificate made for the occasion")
	f.StringVar(&flags.logFormat, "log", "text", "`format` of the log: text, json")
	f.DurationVar(&flags.grace, "grace", 30*time.Second, "how long requests under way may take at the end")
	return cmd
}

func runServe(cmd *cobra.Command, flags *serveFlags, dir string) error {
	backend, err := parseBackend(flags.backend)
	if err != nil {
		return err
	}
	if flags.grace < 0 {
		return usagef("--grace %v: it must not be negative", flags.grace)
	}
	var handler slog.Handler
	switch flags.logFormat {
	case "text":
		handler = slog.NewTextHandler(cmd.ErrOrStderr(), nil)
	case "json":
		handler = slog.NewJSONHandler(cmd.ErrOrStderr(), nil)
	default:
		return usagef("--log %q: there are text and json", flags.logFormat)
	}
	drv, err := eddy.New(eddy.Config{Backend: backend})
	if err != nil {
		return err
	}
	defer shutDown(drv, cmd.ErrOrStderr(), cmd.CommandPath())
	ctx, stop, err := interruptible(cmd.Context(), drv)
	if err != nil {
		return err
	}
	defer stop()
	server, err := webserver.Listen(ctx, webserver.Config{
		Driver: drv, Dir: dir, Address: flags.addr, TLS: flags.tls, Log: slog.New(handler),
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), server.URL()); err != nil {
		return errors.Join(err, server.Shutdown(ctx))
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve() }()
	select {
	case err := <-failed:
		return errors.Join(err, server.Shutdown(ctx))
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), flags.grace)
	defer cancel()
	return errors.Join(server.Shutdown(patience), <-failed, unlessEnded(ctx))
}

// unlessEnded is nil if SIGINT or SIGTERM ended ctx, which for a server is no failure.
func unlessEnded(ctx context.Context) error {
	cause := context.Cause(ctx)
	var interrupted *interruptedError
	if errors.As(cause, &interrupted) && (interrupted.signal == syscall.SIGINT || interrupted.signal == syscall.SIGTERM) {
		return nil
	}
	return cause
}
