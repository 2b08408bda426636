package echobench

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/cmd/eddy/internal/cputime"
)

// driveClosed keeps one request under way on each connection. The latency is that from sending a request to having the
// whole reply.
func (g *generator) driveClosed() (took, cpu time.Duration, err error) {
	for i := range g.conns {
		if err := g.begin(i, g.now()); err != nil {
			return 0, 0, err
		}
	}
	begin := g.now() + int64(g.work.Warmup)
	end := begin + int64(g.work.Length)
	for {
		n, err := g.wait(end - g.now())
		if err != nil {
			return 0, 0, err
		}
		now := g.now()
		if !g.counting && now >= begin {
			begin, end, cpu = now, now+int64(g.work.Length), totalCPU()
			g.counting = true
			if err := g.say(saidBegin); err != nil {
				return 0, 0, err
			}
		}
		if now >= end && g.counting {
			cpu = totalCPU() - cpu
			g.oldest(now)
			return time.Duration(now - begin), cpu, g.say(saidEnd)
		}
		for _, event := range g.events[:n] {
			if err := g.exchange(event); err != nil {
				return 0, 0, err
			}
		}
	}
}

// exchange goes on with one connection of a closed loop.
func (g *generator) exchange(event unix.EpollEvent) error {
	i := int(event.Fd)
	c := &g.conns[i]
	if c.waiting && event.Events&unix.EPOLLOUT != 0 {
		if err := g.send(i, c); err != nil {
			return err
		}
	}
	if event.Events&^unix.EPOLLOUT == 0 {
		return nil
	}
	complete, err := g.receive(i, c)
	if err != nil || !complete {
		return err
	}
	now := g.now()
	if g.counting {
		g.requests += int64(g.work.Depth)
		g.record(now - c.began)
	}
	return g.begin(i, now)
}

// oldest records the requests still under way that have waited longer than any that was answered: a connection that is
// never served would not be seen otherwise.
func (g *generator) oldest(now int64) {
	for i := range g.conns {
		if c := &g.conns[i]; c.missing > 0 && now-c.began > g.worst {
			g.worst = now - c.began
		}
	}
}

// schedule says when the requests of an open loop are meant to be sent: rate of them in a second, depth at a time.
type schedule struct {
	start       int64 // nanoseconds since base, as all times here
	begin, end  int64 // of the measured time
	rate, depth int64
	batches     int64 // that have had their turn
}

// next is when the next batch is meant to be sent.
func (s *schedule) next() int64 {
	const second = int64(time.Second)
	requests := s.batches * s.depth
	return s.start + requests/s.rate*second + requests%s.rate*second/s.rate
}

// waiting tells whether there are batches left to be sent.
func (s *schedule) waiting() bool { return s.next() < s.end }

// driveOpen sends requests at fixed times, whether earlier ones have been answered or not, each batch on the connection
// that has been free for the longest. When none is free it waits, and its latency grows all the same: it counts from
// the time it was meant to be sent. What is meant to be sent in the measured time is counted.
func (g *generator) driveOpen() (took, cpu time.Duration, err error) {
	free := newQueue(len(g.conns))
	for i := range g.conns {
		free.push(i)
	}
	now := g.now()
	begin := now + int64(g.work.Warmup)
	plan := &schedule{start: now, begin: begin, end: begin + int64(g.work.Length), rate: int64(g.work.Rate), depth: int64(g.work.Depth)}
	for said := false; ; {
		now := g.now()
		if !g.counting && now >= plan.begin {
			cpu, g.counting = totalCPU(), true
			if err := g.say(saidBegin); err != nil {
				return 0, 0, err
			}
		}
		if !said && now >= plan.end {
			cpu, said = totalCPU()-cpu, true
			if err := g.say(saidEnd); err != nil {
				return 0, 0, err
			}
		}
		if err := g.sendDue(plan, free, now); err != nil {
			return 0, 0, err
		}
		over := said && !plan.waiting() && free.len() == len(g.conns)
		if over || now >= plan.end+int64(lateLimit) {
			g.tooLate(plan, now)
			return time.Duration(plan.end - plan.begin), cpu, nil
		}
		n, err := g.wait(plan.sleepUntil(said, free.len() > 0) - g.now())
		if err != nil {
			return 0, 0, err
		}
		for _, event := range g.events[:n] {
			if err := g.finish(event, free, plan.begin); err != nil {
				return 0, 0, err
			}
		}
	}
}

// sendDue sends what is meant to be sent by now, as far as there are free connections.
func (g *generator) sendDue(plan *schedule, free *queue, now int64) error {
	for next := plan.next(); next <= now && next < plan.end && free.len() > 0; next = plan.next() {
		if err := g.begin(free.pop(), next); err != nil {
			return err
		}
		plan.batches++
	}
	return nil
}

// sleepUntil is when there is something to do, if no reply comes: said tells that the end has been announced, free that
// a connection is.
func (s *schedule) sleepUntil(said, free bool) int64 {
	until := s.end
	if said {
		until = s.end + int64(lateLimit)
	}
	if free && s.waiting() {
		until = min(until, s.next())
	}
	return until
}

// finish goes on with one connection of an open loop.
func (g *generator) finish(event unix.EpollEvent, free *queue, begin int64) error {
	i := int(event.Fd)
	c := &g.conns[i]
	if c.waiting && event.Events&unix.EPOLLOUT != 0 {
		if err := g.send(i, c); err != nil {
			return err
		}
	}
	if event.Events&^unix.EPOLLOUT == 0 {
		return nil
	}
	complete, err := g.receive(i, c)
	if err != nil || !complete {
		return err
	}
	if c.began >= begin {
		g.requests += int64(g.work.Depth)
		g.record(g.now() - c.began)
	}
	free.push(i)
	return nil
}

// tooLate records the requests that are still under way after an open loop, or were never sent, with the latency they
// have reached.
func (g *generator) tooLate(plan *schedule, now int64) {
	for i := range g.conns {
		if c := &g.conns[i]; c.missing > 0 {
			g.late += plan.depth
			g.record(now - c.began)
		}
	}
	for ; plan.waiting(); plan.batches++ {
		g.late += plan.depth
		g.record(now - plan.next())
	}
}

func totalCPU() time.Duration {
	user, system := cputime.Process()
	return user + system
}

// queue is a ring of connections, first in first out.
type queue struct {
	ring       []int
	head, size int
}

func newQueue(capacity int) *queue { return &queue{ring: make([]int, capacity)} }

func (q *queue) len() int { return q.size }

func (q *queue) push(i int) {
	q.ring[(q.head+q.size)%len(q.ring)] = i
	q.size++
}

func (q *queue) pop() int {
	i := q.ring[q.head]
	q.head = (q.head + 1) % len(q.ring)
	q.size--
	return i
}
