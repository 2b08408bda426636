package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/eddyio/eddy"
)

// client makes a connection, says something over it that comes back, and makes
// another.
type client struct {
	s       *soak
	v       *server
	id      uint64
	rng     *rand.Rand
	network string
	pulse   *pulse

	conversations uint64
	scratch       [4096]byte
}

func (c *client) run(p *pulse) {
	c.pulse = p
	for !c.s.stopping() {
		p.beat()
		conn, err := c.dial()
		if err != nil {
			c.s.counts.refused.Add(1)
			c.s.pause(time.Millisecond)
			continue
		}
		c.s.counts.connections.Add(1)
		c.conversations++
		l := &link{s: c.s, set: c.v.set, c: conn, rng: c.rng}
		content := streamOf(1<<40, c.id, c.conversations)
		if c.rng.IntN(6) == 0 {
			c.pour(l, content)
		} else {
			c.converse(l, content)
		}
	}
}

func (c *client) unexpected(op string, err error) {
	c.s.add("unexpected error", "%s: %s client: %s: %v", c.v.set.name, c.network, op, err)
}

// dial connects, if it is not given too little time for it.
func (c *client) dial() (*eddy.Conn, error) {
	e := never
	if c.rng.IntN(4) == 0 {
		e = randomEnding(c.rng, 5*time.Millisecond)
	}
	defer e.cancel()
	conn, err := c.v.set.d.Dial(e.ctx, c.network, c.v.address(c.network))
	var timeout net.Error
	switch {
	case err == nil:
	case e.ctx.Err() != nil:
	case errors.Is(err, syscall.EAGAIN): // a Unix socket's backlog is full, unix(7)
	case errors.As(err, &timeout) && timeout.Timeout() && hasDeadline(e.ctx): // a moment before the context says so
	default:
		c.unexpected("dial", err)
	}
	return conn, err
}

func hasDeadline(ctx context.Context) bool {
	_, ok := ctx.Deadline()
	return ok
}

// converse says something and hears it, many times.
func (c *client) converse(l *link, content stream) {
	p := make([]byte, 1<<(4+c.rng.IntN(11)))
	var off int64
	for range 1 + c.rng.IntN(50) {
		if c.s.stopping() {
			break
		}
		c.pulse.beat()
		said := p[:1+c.rng.IntN(len(p))]
		content.fill(said, off)
		if err := l.write(said); err != nil {
			c.unexpected("write", err)
			break
		}
		fillCanary(said)
		if !c.hear(l, said, content, off) {
			break
		}
		off += int64(len(said))
		if c.rng.IntN(2) == 0 {
			c.s.pause(time.Duration(c.rng.IntN(100)) * time.Millisecond)
		}
	}
	c.part(l, content, off)
}

// hear reads until p is full and compares it.
func (c *client) hear(l *link, p []byte, content stream, off int64) bool {
	for done := 0; done < len(p); {
		part := p[done:]
		n, err := l.read(part[:1+c.rng.IntN(len(part))])
		if !c.compare(part[:max(n, 0)], content, off+int64(done)) {
			return false
		}
		if err != nil {
			c.unexpected("read", err)
			return false
		}
		done += n
	}
	return true
}

func (c *client) compare(p []byte, content stream, off int64) bool {
	c.s.counts.streamBytes.Add(uint64(len(p)))
	wrong, first := content.differ(p, off, c.scratch[:])
	if wrong == 0 {
		return true
	}
	c.s.corruption(wrong, "%s: %s echo at %d: %s", c.v.set.name, c.network, off+int64(first), content.excerpt(p, off, first))
	return false
}

// pour writes on one goroutine and reads on another, until the end of the stream.
func (c *client) pour(l *link, content stream) {
	size := int64(1 + c.rng.IntN(1<<18))
	writer := &link{s: c.s, set: l.set, c: l.c, rng: rand.New(rand.NewPCG(c.rng.Uint64(), 0))}
	written := make(chan error, 1)
	go func() {
		p := make([]byte, 32<<10)
		for off := int64(0); off < size; {
			part := p[:min(int64(len(p)), size-off)]
			content.fill(part, off)
			if err := writer.write(part); err != nil {
				written <- err
				return
			}
			off += int64(len(part))
		}
		written <- l.c.CloseWrite()
	}()
	p := make([]byte, 64<<10)
	var off int64
	for {
		c.pulse.beat()
		n, err := l.read(p[:1+c.rng.IntN(len(p))])
		if !c.compare(p[:max(n, 0)], content, off) {
			_ = l.c.Close() // the corruption is what is told of
			<-written
			return
		}
		off += int64(max(n, 0))
		if err != nil {
			if err != io.EOF || off != size {
				c.unexpected("read", err)
				c.s.add("lost bytes", "%s: %s echo of %d bytes has %d", c.v.set.name, c.network, size, off)
			}
			break
		}
	}
	if err := <-written; err != nil {
		c.unexpected("write", err)
	}
	l.check("close", l.c.Close())
}

// part ends a conversation: in order, or in the middle of a word, or under
// somebody who waits for an answer.
func (c *client) part(l *link, content stream, off int64) {
	switch c.rng.IntN(4) {
	case 0:
		word := make([]byte, 4096)
		content.fill(word, off)
		if err := l.write(word); err != nil { // nobody hears the answer
			c.unexpected("write", err)
		}
		if c.network == "tcp" && c.rng.IntN(2) == 0 {
			l.check("linger", l.c.SetLinger(0))
		}
	case 1:
		c.closeUnderReader(l)
		return
	case 2:
		l.check("close of the writing half", l.c.CloseWrite())
		if n, err := l.read(c.scratch[:]); err != io.EOF {
			c.s.add("lost bytes", "%s: %s: after the end come %d bytes, %v", c.v.set.name, c.network, n, err)
		}
	}
	if c.s.mistake.leakDescriptor(l.c) {
		return
	}
	l.check("close", l.c.Close())
}

func (c *client) closeUnderReader(l *link) {
	l.check("set deadline", l.c.SetReadDeadline(time.Time{}))
	read := make(chan error, 1)
	go func() {
		_, err := l.c.Read(make([]byte, 16))
		read <- err
	}()
	if c.rng.IntN(2) == 0 {
		time.Sleep(time.Duration(c.rng.IntN(500)) * time.Microsecond)
	}
	l.check("close", l.c.Close())
	if err := <-read; !errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		c.s.add("unexpected error", "%s: %s: read under which the connection was closed: %v", c.v.set.name, c.network, err)
	}
}
