package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/eddyio/eddy"
)

// datagramSize is the most a datagram has.
const datagramSize = 4096

// headerSize is how much of a datagram says which it is: client and number.
const headerSize = 16

// datagramClient sends datagrams and verifies what comes back. Some may be lost.
type datagramClient struct {
	s       *soak
	v       *server
	id      uint64
	rng     *rand.Rand
	number  uint64 // of the last one sent
	heard   window
	scratch [datagramSize]byte
}

func (c *datagramClient) run(p *pulse) {
	for !c.s.stopping() {
		conn, err := c.v.set.d.Dial(context.Background(), "udp", c.v.address("udp"))
		if err != nil {
			c.unexpected("dial", err)
			return
		}
		c.s.counts.connections.Add(1)
		for range 1 + c.rng.IntN(100) {
			p.beat()
			if c.s.stopping() {
				break
			}
			c.exchange(conn)
			c.s.pause(time.Duration(c.rng.IntN(20)) * time.Millisecond)
		}
		if err := conn.Close(); err != nil {
			c.unexpected("close", err)
		}
	}
}

func (c *datagramClient) unexpected(op string, err error) {
	c.s.add("unexpected error", "%s: udp client: %s: %v", c.v.set.name, op, err)
}

// exchange sends some datagrams and reads as many.
func (c *datagramClient) exchange(conn *eddy.Conn) {
	first := c.number + 1
	count := 1 + c.rng.IntN(4)
	for range count {
		c.number++
		p := make([]byte, headerSize+c.rng.IntN(datagramSize-headerSize+1))
		c.compose(p, c.number)
		if n, err := conn.Write(p); err != nil || n != len(p) {
			c.unexpected("write", err)
			return
		}
	}
	deadline := time.Now().Add(300 * time.Millisecond)
	if err := conn.SetReadDeadline(deadline); err != nil {
		c.unexpected("set deadline", err)
	}
	for heard := 0; heard < count; {
		p := make([]byte, datagramSize+1)
		e := ending{ctx: context.Background(), cancel: func() {}}
		if c.rng.IntN(4) == 0 {
			e = randomEnding(c.rng, 5*time.Millisecond)
		}
		e.deadline = deadlineAt(deadline)
		n, err := conn.ReadContext(e.ctx, p)
		explained := err != nil && e.explains(err)
		e.cancel()
		switch {
		case explained && errors.Is(err, os.ErrDeadlineExceeded):
			c.s.counts.datagramsLate.Add(uint64(count - heard))
			return
		case explained:
			c.s.counts.cancelled.Add(1)
			continue
		case err != nil:
			c.unexpected("read", err)
			return
		}
		if c.verify(p[:n]) >= first { // an earlier one may come late
			heard++
		}
	}
}

// compose makes the datagram of a number. Its length is part of its name.
func (c *datagramClient) compose(p []byte, number uint64) {
	binary.LittleEndian.PutUint64(p, c.id)
	binary.LittleEndian.PutUint64(p[8:], number)
	streamOf(2<<40, c.id, number, uint64(len(p))).fill(p[headerSize:], 0)
}

// verify compares a datagram with what it says it is, and returns its number, 0 if
// it should not have come.
func (c *datagramClient) verify(p []byte) uint64 {
	if len(p) < headerSize {
		c.s.corruption(len(p), "%s: a datagram of %d bytes", c.v.set.name, len(p))
		return 0
	}
	id, number := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	if id != c.id || number == 0 || number > c.number {
		c.s.corruption(headerSize, "%s: a datagram of client %d, number %d, has come to client %d, which is at %d", c.v.set.name, id, number, c.id, c.number)
		return 0
	}
	if c.heard.again(number) {
		c.s.add("datagram twice", "%s: client %d, number %d", c.v.set.name, id, number)
		return 0
	}
	c.v.set.datagrams.Add(1)
	content := streamOf(2<<40, id, number, uint64(len(p)))
	if wrong, first := content.differ(p[headerSize:], 0, c.scratch[:]); wrong > 0 {
		c.s.corruption(wrong, "%s: datagram: %s", c.v.set.name, content.excerpt(p[headerSize:], 0, first))
	}
	return number
}

// window knows which of the last 64 numbers have come.
//
//	bit i of come   newest - i has
type window struct{ newest, come uint64 }

// again notes a number, and reports whether it is known to have come before.
func (w *window) again(number uint64) bool {
	if number > w.newest {
		w.come = w.come<<(number-w.newest) | 1
		w.newest = number
		return false
	}
	bit := uint64(1) << (w.newest - number)
	known := w.come&bit != 0
	w.come |= bit
	return known
}
