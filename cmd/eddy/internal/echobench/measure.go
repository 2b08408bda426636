package echobench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// measurePatience is how much longer than planned a measurement may take before it counts as hanging.
const measurePatience = 2 * time.Minute

// Commands are the arguments that make this program a process of a measurement.
type Commands struct {
	Server []string // calls Serve
	Load   []string // calls Generate
}

// Run carries out one measurement in two processes of its own. backend is what the server ran on.
func (c Commands) Run(ctx context.Context, work Work) (s Sample, backend string, err error) {
	serverPlace, loadPlace, err := places(work.Pin)
	if err != nil {
		return s, "", err
	}
	if work.Network == "unix" {
		// Here and not in the server: a signal to the whole group ends that one without a chance to clean up.
		if work.SocketDir, err = os.MkdirTemp("", "eddy-bench-"); err != nil {
			return s, "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(work.SocketDir)) }()
	}
	if work.Fsync > 0 {
		if work.FsyncDir, err = os.MkdirTemp(work.FsyncDir, ".eddy-bench-fsync-"); err != nil {
			return s, "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(work.FsyncDir)) }()
	}
	limit := work.Warmup + work.Length + measurePatience
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the measurement hangs: not done after %v", limit))
	defer cancel()
	server, err := startChild(ctx, c.Server, serverPlace, work.Procs)
	if err != nil {
		return s, "", err
	}
	defer server.kill()
	load, err := startChild(ctx, c.Load, loadPlace, 1)
	if err != nil {
		return s, "", err
	}
	defer load.kill()
	var first hello
	if err := server.tell(work); err != nil {
		return s, "", fmt.Errorf("server: %w", err)
	}
	if err := server.hear(&first); err != nil {
		return s, "", fmt.Errorf("server: %w", err)
	}
	m := &measurement{work: work, server: server, load: load}
	if err := m.run(first.Address); err != nil {
		return s, "", err
	}
	return m.sample(), first.Backend, nil
}

// measurement is one under way.
type measurement struct {
	work         Work
	server, load *child

	empty, idle   reading // without connections, and with the silent ones
	before, after reading // at the two ends of the measured time
	result        loadResult
}

func (m *measurement) run(address string) error {
	if m.work.Idle > 0 {
		if err := m.ask(askSettled, &m.empty); err != nil {
			return err
		}
	}
	if err := m.load.tell(loadOrder{m.work, address}); err != nil {
		return m.blame(err)
	}
	if err := m.load.expect(saidIdle); err != nil {
		return m.blame(err)
	}
	if m.work.Idle > 0 {
		if err := m.ask(askSettled, &m.idle); err != nil {
			return err
		}
	}
	if err := m.load.say(askGo); err != nil {
		return m.blame(err)
	}
	if err := m.load.expect(saidBegin); err != nil {
		return m.blame(err)
	}
	if err := m.ask(askReading, &m.before); err != nil {
		return err
	}
	if err := m.load.expect(saidEnd); err != nil {
		return m.blame(err)
	}
	if err := m.ask(askReading, &m.after); err != nil {
		return err
	}
	if err := m.load.hear(&m.result); err != nil {
		return m.blame(err)
	}
	return m.server.stop()
}

func (m *measurement) ask(question string, r *reading) error {
	err := m.server.say(question)
	if err == nil {
		err = m.server.hear(r)
	}
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// blame says whose fault it is that the load generator failed: it is the first to see that a server is gone.
func (m *measurement) blame(err error) error {
	if serverErr := m.server.stop(); serverErr != nil && m.server.ctx.Err() == nil {
		return fmt.Errorf("server: %w (load generator: %w)", serverErr, err)
	}
	return fmt.Errorf("load generator: %w", err)
}

// sample sums up. The two processes' measured times differ by what it takes to ask, so that their rates are divided
// and not their counts.
func (m *measurement) sample() Sample {
	const million = 1e6
	took := (m.after.At - m.before.At).Seconds()
	user, system := m.after.User-m.before.User, m.after.System-m.before.System
	bursts := float64(m.after.Load.Bursts - m.before.Load.Bursts)
	s := Sample{
		Requests: float64(m.result.Requests) / m.result.Seconds,
		P50:      m.result.P50, P99: m.result.P99, Worst: m.result.Worst, Late: m.result.Late,
		BusyCPUs:  bursts * m.work.Burst.Seconds() / took,
		BusySpins: float64(m.after.Load.Spins-m.before.Load.Spins) / took,
		Fsyncs:    float64(m.after.Load.Fsyncs-m.before.Load.Fsyncs) / took,
		Threads:   m.after.Threads,
	}
	if m.result.Requests > 0 {
		s.CPU = (user + system).Seconds() / took / s.Requests * million
		s.User = user.Seconds() / took / s.Requests * million
		s.LoadCPU = m.result.CPU / float64(m.result.Requests) * million
	}
	if m.work.Idle > 0 {
		s.IdleBytes = float64(m.idle.Resident-m.empty.Resident) / float64(m.work.Idle)
	}
	return s
}
