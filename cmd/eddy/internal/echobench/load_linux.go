package echobench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// The range and precision of latencies.
const (
	shortestLatency = int64(100)
	longestLatency  = int64(2 * time.Minute)
	latencyDigits   = 3
)

// generator is the load generator: one goroutine that makes system calls past the scheduler, none of which blocks but
// the wait for events, and which allocates nothing once it runs. It stays on the thread it began on because nothing
// ever takes its processor away; locking it there would cost two thread switches whenever the runtime asks it to yield.
type generator struct {
	work   Work
	out    io.Writer
	epoll  int
	events [256]unix.EpollEvent
	conns  []connection

	request []byte // what is sent, all connections alike but for the number in its first bytes
	reply   int    // how many bytes come back
	buf     []byte

	base      time.Time
	counting  bool
	requests  int64 // while counting
	worst     int64
	late      int64 // requests of an open loop that were given up
	latencies *hdrhistogram.Histogram
}

// connection is one that sends. It is in the table of events by its index.
type connection struct {
	fd      int32
	number  uint32 // of the request
	unsent  int    // bytes
	missing int    // bytes of the reply; 0 when there is no request under way
	began   int64  // nanoseconds since base
	waiting bool   // for room to send the rest
}

// Generate is the load generator's process: it reads its order from in and says on out how it goes.
func Generate(in io.Reader, out io.Writer) error {
	debug.SetGCPercent(-1)
	lines := bufio.NewReader(in)
	var order loadOrder
	if err := readJSON(lines, &order); err != nil {
		return err
	}
	work := order.Work
	if err := wantFiles(work.Conns + work.Idle); err != nil {
		return err
	}
	g := &generator{work: work, out: out, base: time.Now(), latencies: hdrhistogram.New(shortestLatency, longestLatency, latencyDigits)}
	var err error
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	g.buf = make([]byte, max(work.batch(), largestBuffer))
	if err := g.openIdle(order.Address); err != nil {
		return err
	}
	if err := g.say(saidIdle); err != nil {
		return err
	}
	if _, err := lines.ReadString('\n'); err != nil {
		return err
	}
	if err := g.openConnections(order.Address); err != nil {
		return err
	}
	result, err := g.run()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

func (g *generator) say(word string) error {
	_, err := io.WriteString(g.out, word+"\n")
	return err
}

func (g *generator) now() int64 { return int64(time.Since(g.base)) }

// openIdle makes the connections that stay silent. Each has one reply before, so that the server is where it waits for
// the next request.
func (g *generator) openIdle(address string) error {
	if err := g.learn(address); err != nil {
		return err
	}
	const together = 256
	for done := 0; done < g.work.Idle; {
		fds := make([]int, 0, together)
		for ; len(fds) < cap(fds) && done < g.work.Idle; done++ {
			fd, err := dial(g.work.Network, address)
			if err != nil {
				return err
			}
			fds = append(fds, fd)
			if err := sendAll(fd, g.request); err != nil {
				return err
			}
		}
		for _, fd := range fds {
			if err := receiveAll(fd, g.buf[:g.reply]); err != nil {
				return err
			}
		}
	}
	return nil
}

// learn makes the request, and finds out with a connection of its own how long the reply is.
func (g *generator) learn(address string) error {
	if !g.work.HTTP {
		g.request = bytes.Repeat([]byte{'x'}, g.work.batch())
		g.reply = len(g.request)
		return nil
	}
	fd, err := dial(g.work.Network, address)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	one := []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err := sendAll(fd, one); err != nil {
		return err
	}
	for n := 1; n <= len(g.buf); n++ { // byte by byte, to the last of what is known to come
		if err := receiveAll(fd, g.buf[n-1:n]); err != nil {
			return err
		}
		if bytes.HasSuffix(g.buf[:n], []byte("\r\n\r\n"+greeting)) {
			g.request = bytes.Repeat(one, g.work.Depth)
			g.reply = n * g.work.Depth
			g.buf = make([]byte, max(g.reply, len(g.buf)))
			return nil
		}
	}
	return errors.New("the server's reply does not end")
}

func (g *generator) openConnections(address string) error {
	g.conns = make([]connection, g.work.Conns)
	for i := range g.conns {
		fd, err := dial(g.work.Network, address)
		if err != nil {
			return err
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return fmt.Errorf("fcntl: %w", err)
		}
		g.conns[i].fd = int32(fd)
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	return nil
}

// run warms up, measures and sums up.
func (g *generator) run() (loadResult, error) {
	drive := g.driveClosed
	if g.work.Rate > 0 {
		drive = g.driveOpen
	}
	took, cpu, err := drive()
	if err != nil {
		return loadResult{}, err
	}
	const perMicrosecond = 1e3
	return loadResult{
		Requests: g.requests, Seconds: took.Seconds(), CPU: cpu.Seconds(),
		P50:   float64(g.latencies.ValueAtPercentile(50)) / perMicrosecond,
		P99:   float64(g.latencies.ValueAtPercentile(99)) / perMicrosecond,
		Worst: float64(g.worst) / perMicrosecond,
		Late:  g.late,
	}, nil
}

func (g *generator) record(latency int64) {
	g.worst = max(g.worst, latency)
	_ = g.latencies.RecordValue(min(latency, longestLatency)) // fails only above longestLatency
}
