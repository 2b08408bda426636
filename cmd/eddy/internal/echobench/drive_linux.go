package echobench

import (
	"time"

	"golang.org/x/sys/unix"
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

// driveOpen sends requests at fixed times, whether earlier ones have been answered or not, each on the connection that
// has been free for the longest. When none is free the request waits, and its latency grows all the same: it counts
// from the time it was meant to be sent. What is meant to be sent in the measured time is counted.
func (g *generator) driveOpen() (took, cpu time.Duration, err error) {
	free := newQueue(len(g.conns))
	for i := range g.conns {
		free.push(i)
	}
	const second = int64(time.Second)
	rate := int64(g.work.Rate)
	start := g.now()
	begin := start + int64(g.work.Warmup)
	end := begin + int64(g.work.Length)
	sent := int64(0)
	intended := func() int64 { return start + sent*second/rate }
	for said := false; ; {
		now := g.now()
		if !g.counting && now >= begin {
			cpu, g.counting = totalCPU(), true
			if err := g.say(saidBegin); err != nil {
				return 0, 0, err
			}
		}
		if !said && now >= end {
			cpu, said = totalCPU()-cpu, true
			if err := g.say(saidEnd); err != nil {
				return 0, 0, err
			}
		}
		for next := intended(); next <= now && next < end && free.len() > 0; next = intended() {
			if err := g.begin(free.pop(), next); err != nil {
				return 0, 0, err
			}
			sent++
		}
		waiting := intended() < end
		if !waiting && free.len() == len(g.conns) && said || now >= end+int64(lateLimit) {
			g.tooLate(now)
			for ; intended() < end; sent++ {
				g.late++
				g.record(now - intended())
			}
			return time.Duration(end - begin), cpu, nil
		}
		until := end
		if said {
			until = end + int64(lateLimit)
		}
		if waiting && free.len() > 0 {
			until = min(until, intended())
		}
		n, err := g.wait(until - g.now())
		if err != nil {
			return 0, 0, err
		}
		for _, event := range g.events[:n] {
			if err := g.finish(event, free, begin); err != nil {
				return 0, 0, err
			}
		}
	}
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

// tooLate records the requests that are still under way after an open loop, with the latency they have reached.
func (g *generator) tooLate(now int64) {
	for i := range g.conns {
		if c := &g.conns[i]; c.missing > 0 {
			g.late++
			g.record(now - c.began)
		}
	}
}

func totalCPU() time.Duration {
	user, system := processCPU()
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
