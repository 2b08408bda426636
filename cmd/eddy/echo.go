package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/echobench"
)

// echoBuffer is what the echo server reads at a time, in bytes: as much as a UDP datagram can be.
const echoBuffer = 64 << 10

var (
	streamNetworks = []string{"tcp", "tcp4", "tcp6", "unix", "unixpacket"}
	packetNetworks = []string{"udp", "udp4", "udp6", "unixgram"}
	echoEngines    = []string{echobench.SideEddy, echobench.SideStd}
)

type echoFlags struct{ addr, network, engine, backend string }

func newEchoCommand() *cobra.Command {
	var flags echoFlags
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Send back whatever comes, for load tests",
		Long: `Listen, and send back whatever comes, on eddy's sockets or on package net. The
first line on the standard output is the address. SIGINT and SIGTERM end it.

Exit codes: 0 ended by SIGINT or SIGTERM; 1 it failed; 2 the command line was
wrong; 129 ended by SIGHUP; 130 or 143 ended by a second signal.`,
		Example: `  eddy echo                                    on any free port
  eddy echo --engine std                       the same on package net
  eddy echo --addr [::1]:7000
  eddy echo --network udp --addr :7000
  eddy echo --network unix --addr /tmp/echo    then: socat - UNIX-CONNECT:/tmp/echo`,
		Args: argCount(0, 0, "echo takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runEcho(cmd, &flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.addr, "addr", "", "`address` to listen on: host:port (by default any free port of localhost), or a path")
	f.StringVar(&flags.network, "network", "tcp", "`network`: "+strings.Join(slices.Concat(streamNetworks, packetNetworks), ", "))
	f.StringVar(&flags.engine, "engine", echobench.SideEddy, "`engine`: "+strings.Join(echoEngines, ", "))
	registerBackend(f, &flags.backend)
	return cmd
}

// check returns the backend, or what is wrong with the flags.
func (f *echoFlags) check() (eddy.Backend, error) {
	if !slices.Contains(echoEngines, f.engine) {
		return 0, usagef("--engine %q: there are %s", f.engine, strings.Join(echoEngines, " and "))
	}
	all := slices.Concat(streamNetworks, packetNetworks)
	if !slices.Contains(all, f.network) {
		return 0, usagef("--network %q: there are %s", f.network, strings.Join(all, ", "))
	}
	if f.addr == "" {
		if strings.HasPrefix(f.network, "unix") {
			return 0, usagef("--network %s takes a path as --addr", f.network)
		}
		f.addr = "localhost:0"
	}
	return parseBackend(f.backend)
}

// network is where sockets come from: a driver, or package net.
type network interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
}

// driverNetwork has a driver's sockets as interfaces.
type driverNetwork struct{ drv *eddy.Driver }

func (n driverNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := n.drv.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (n driverNetwork) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := n.drv.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func runEcho(cmd *cobra.Command, flags *echoFlags) error {
	backend, err := flags.check()
	if err != nil {
		return err
	}
	if flags.engine == echobench.SideStd {
		// Not a driver in sight: it would take part in what is measured.
		ctx, stop := notifyContext(cmd.Context())
		defer stop()
		return serveEcho(ctx, cmd, flags, &net.ListenConfig{})
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
	return serveEcho(ctx, cmd, flags, driverNetwork{drv})
}

// serveEcho listens and echoes until ctx ends. Connections that are open then end with the process.
func serveEcho(ctx context.Context, cmd *cobra.Command, flags *echoFlags, from network) error {
	var (
		serve func() error
		close func() error
		addr  net.Addr
	)
	if slices.Contains(packetNetworks, flags.network) {
		c, err := from.ListenPacket(ctx, flags.network, flags.addr)
		if err != nil {
			return err
		}
		serve, close, addr = func() error { return echobench.ServePackets(c, echoBuffer) }, c.Close, c.LocalAddr()
		if flags.network == "unixgram" {
			defer func() { removeSocket(flags.addr) }() // as a listener does by itself
		}
	} else {
		l, err := from.Listen(ctx, flags.network, flags.addr)
		if err != nil {
			return err
		}
		serve, close, addr = func() error { return echobench.ServeEcho(l, echoBuffer) }, l.Close, l.Addr()
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), addr); err != nil {
		return errors.Join(err, close())
	}
	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return errors.Join(err, close())
	case <-ctx.Done():
	}
	return errors.Join(close(), <-failed, unlessEnded(ctx))
}

// removeSocket removes the name of a socket, if it has one in the file system and it is a socket still.
func removeSocket(path string) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		os.Remove(path)
	}
}
