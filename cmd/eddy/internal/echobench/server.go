package echobench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/cmd/eddy/internal/background"
	"github.com/eddyio/eddy/cmd/eddy/internal/cputime"
)

// hello is the first thing a server process says.
type hello struct {
	Address string
	Backend string
}

// What a server process can be asked, a line each.
const (
	askReading = "read"
	askSettled = "settle" // the same, after it has given back all memory that it does not use
)

// reading is the state of everything that is counted in a server, at one moment.
type reading struct {
	At       time.Duration // since the process began
	User     time.Duration
	System   time.Duration
	Resident int64 // bytes
	Threads  int
	Load     background.Counts
}

// Serve is the server process: it reads its Work from in, says where it listens on out, and answers questions until in
// ends. config turns the names in the Work into eddy's settings.
func Serve(in io.Reader, out io.Writer, config func(Work) (eddy.Config, error)) error {
	lines := bufio.NewReader(in)
	var work Work
	if err := readJSON(lines, &work); err != nil {
		return err
	}
	if err := wantFiles(work.Conns + work.Idle); err != nil {
		return err
	}
	s, err := newService(work, config)
	if err != nil {
		return err
	}
	load, err := background.Start(background.Load{Busy: work.Busy, Burst: work.Burst, Fsync: work.Fsync, Dir: work.FsyncDir, Garbage: work.Garbage})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- s.serve() }()
	if err := json.NewEncoder(out).Encode(s.hello); err != nil {
		return err
	}
	err = answer(lines, out, load, failed)
	return errors.Join(err, s.close(), load.Stop())
}

// service is what a server process does until it is closed.
type service struct {
	hello hello
	serve func() error
	close func() error
}

func newService(work Work, config func(Work) (eddy.Config, error)) (service, error) {
	if work.Side != SideEddy {
		return work.serviceOn(net.Listen, net.ListenPacket, "")
	}
	cfg, err := config(work)
	if err != nil {
		return service{}, err
	}
	drv, err := eddy.New(cfg)
	if err != nil {
		return service{}, err
	}
	return work.serviceOn(
		func(network, address string) (net.Listener, error) {
			return drv.Listen(context.Background(), network, address)
		},
		func(network, address string) (net.PacketConn, error) {
			return drv.ListenPacket(context.Background(), network, address)
		}, drv.Status().Backend.String())
}

// serviceOn is the service on sockets of eddy's or of package net.
func (w Work) serviceOn(
	listen func(network, address string) (net.Listener, error),
	listenPacket func(network, address string) (net.PacketConn, error), backend string,
) (service, error) {
	address := "127.0.0.1:0"
	switch w.Network {
	case "udp":
		c, err := listenPacket("udp4", address) // as the load generator's sockets
		if err != nil {
			return service{}, err
		}
		serve := func() error { return ServePackets(c, bufferSize(w.batch())) }
		return service{hello{c.LocalAddr().String(), backend}, serve, c.Close}, nil
	case "unix":
		address = filepath.Join(w.SocketDir, "socket")
	}
	l, err := listen(w.Network, address)
	if err != nil {
		return service{}, err
	}
	serve := func() error { return ServeEcho(l, bufferSize(w.batch())) }
	if w.HTTP {
		serve = func() error { return serveHTTP(l) }
	}
	return service{hello{l.Addr().String(), backend}, serve, l.Close}, nil
}

// answer answers questions until they end.
func answer(lines *bufio.Reader, out io.Writer, load *background.Work, failed <-chan error) error {
	base := time.Now()
	for {
		line, err := lines.ReadString('\n')
		select {
		case err := <-failed:
			return fmt.Errorf("the server stopped: %w", err)
		default:
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line == askSettled+"\n" {
			debug.FreeOSMemory()
		}
		r := reading{At: time.Since(base), Load: load.Counts(), Threads: pprof.Lookup("threadcreate").Count(), Resident: residentMemory()}
		r.User, r.System = cputime.Process()
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	}
}

// readJSON reads one line of JSON and nothing after it.
func readJSON(from *bufio.Reader, v any) error {
	line, err := from.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}
