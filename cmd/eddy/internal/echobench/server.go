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
	l, backend, err := listen(work, config)
	if err != nil {
		return err
	}
	load, err := background.Start(background.Load{Busy: work.Busy, Burst: work.Burst, Fsync: work.Fsync, Dir: work.FsyncDir, Garbage: work.Garbage})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		if work.HTTP {
			failed <- serveHTTP(l)
		} else {
			failed <- ServeEcho(l, bufferSize(work.batch()))
		}
	}()
	if err := json.NewEncoder(out).Encode(hello{l.Addr().String(), backend}); err != nil {
		return err
	}
	err = answer(lines, out, load, failed)
	return errors.Join(err, l.Close(), load.Stop())
}

func listen(work Work, config func(Work) (eddy.Config, error)) (l net.Listener, backend string, err error) {
	address := "127.0.0.1:0"
	if work.Network == "unix" {
		address = filepath.Join(work.SocketDir, "socket")
	}
	if work.Side != SideEddy {
		l, err = net.Listen(work.Network, address)
		return l, "", err
	}
	cfg, err := config(work)
	if err != nil {
		return nil, "", err
	}
	drv, err := eddy.New(cfg)
	if err != nil {
		return nil, "", err
	}
	l, err = drv.Listen(context.Background(), work.Network, address)
	return l, drv.Status().Backend.String(), err
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
