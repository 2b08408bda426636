package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/eddyio/eddy"
)

// link moves bytes over a connection in pieces of random sizes, under deadlines
// and contexts that end now and then and are renewed.
type link struct {
	s   *soak
	set *setting
	c   *eddy.Conn
	rng *rand.Rand

	readDeadline, writeDeadline deadline
}

// manner is how a read or write may be ended.
func (l *link) manner(d *deadline, set func(time.Time) error) ending {
	e := never
	switch l.rng.IntN(16) {
	case 0: // it has passed, or will soon
		l.move(d, time.Now().Add(time.Duration(l.rng.IntN(5000)-500)*time.Microsecond), set)
	case 1, 2:
		l.move(d, time.Time{}, set)
	case 3, 4, 5:
		e = randomEnding(l.rng, 5*time.Millisecond)
	}
	e.deadline = *d
	return e
}

func (l *link) move(d *deadline, t time.Time, set func(time.Time) error) {
	*d = deadlineAt(t)
	l.check("set deadline", set(t))
}

func (l *link) check(op string, err error) {
	if err != nil {
		l.s.add("unexpected error", "%s: %s: %v", l.set.name, op, err)
	}
}

// expectEnd objects to what has succeeded though nothing could.
func (l *link) expectEnd(op string, err error, e ending) {
	if err == nil && e.forbids() {
		l.s.add("not ended", "%s: %s of a stream after its deadline or context", l.set.name, op)
	}
}

// renewed reports whether an error is of an ending, which is renewed then.
func (l *link) renewed(e ending, err error, d *deadline, set func(time.Time) error) bool {
	if !e.explains(err) {
		return false
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		l.s.counts.deadlines.Add(1)
		var t time.Time
		if l.rng.IntN(2) == 0 {
			t = time.Now().Add(time.Duration(l.rng.IntN(20)) * time.Millisecond)
		}
		l.move(d, t, set)
	} else {
		l.s.counts.cancelled.Add(1)
	}
	return true
}

// read reads something, however often it takes.
func (l *link) read(p []byte) (int, error) {
	for {
		l.set.sockets.Add(1)
		l.s.mistake.leakMemory()
		e := l.manner(&l.readDeadline, l.c.SetReadDeadline)
		var n int
		var err error
		if e.ctx.Done() == nil && l.rng.IntN(2) == 0 {
			n, err = l.c.Read(p)
		} else {
			n, err = l.c.ReadContext(e.ctx, p)
		}
		if err == nil && n == 0 {
			l.s.add("wrong count", "%s: read of %d bytes from a stream: 0, nil", l.set.name, len(p))
		}
		l.expectEnd("read", err, e)
		again := n <= 0 && err != nil && err != io.EOF && l.renewed(e, err, &l.readDeadline, l.c.SetReadDeadline)
		e.cancel()
		if !again {
			return n, err
		}
	}
}

// write writes all of p, however often it takes.
func (l *link) write(p []byte) error {
	for len(p) > 0 {
		piece := p
		if l.rng.IntN(2) == 0 {
			piece = p[:1+l.rng.IntN(len(p))]
		}
		l.set.sockets.Add(1)
		l.s.mistake.leakMemory()
		e := l.manner(&l.writeDeadline, l.c.SetWriteDeadline)
		var n int
		var err error
		if e.ctx.Done() == nil && l.rng.IntN(2) == 0 {
			n, err = l.c.Write(piece)
		} else {
			n, err = l.c.WriteContext(e.ctx, piece)
		}
		if n < 0 || n > len(piece) || n < len(piece) && err == nil {
			l.s.add("wrong count", "%s: write of %d bytes to a stream: %d, %v", l.set.name, len(piece), n, err)
			return errors.New("wrong count")
		}
		p = p[n:]
		l.expectEnd("write", err, e)
		failed := err != nil && !l.renewed(e, err, &l.writeDeadline, l.c.SetWriteDeadline)
		e.cancel()
		if failed {
			return err
		}
	}
	return nil
}
