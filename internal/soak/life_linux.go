package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/poll"
)

// The tasks on a driver that is shut down under them. Each returns the error
// that has ended it.

// read verifies parts of a file.
func (l *life) read(f *eddy.File, rng *rand.Rand) error {
	want := sharedStream(l.set)
	scratch := make([]byte, blockSize)
	for {
		p := aligned(blockSize * (1 + rng.IntN(4)))
		off := int64(rng.IntN(sharedBlocks-4)) * blockSize
		e := randomEnding(rng, time.Millisecond)
		var n int
		var err error
		if rng.IntN(3) == 0 {
			half := (len(p) / blockSize / 2) * blockSize
			reads := []eddy.BatchRead{{Buf: p[:half], Off: off}, {Buf: p[half:], Off: off + int64(half)}}
			err = f.ReadBatch(e.ctx, reads)
			if n = reads[0].N; n == half {
				n += reads[1].N
			}
		} else {
			n, err = f.ReadAtContext(e.ctx, p, off)
		}
		l.judge("read", n, len(p), err, e)
		if wrong, first := want.differ(p[:n], off, scratch); wrong > 0 {
			l.c.s.corruption(wrong, "%s: read around a shutdown: %s", l.set.name, want.excerpt(p[:n], off, first))
		}
		explained := err == nil || e.explains(err)
		e.cancel()
		if !explained {
			return err
		}
	}
}

// write writes what is there already, so that it cannot matter which of the
// writes arrive.
func (l *life) write(f *eddy.File, rng *rand.Rand) error {
	for {
		p := aligned(blockSize * (1 + rng.IntN(4)))
		off := int64(rng.IntN(sharedBlocks-4)) * blockSize
		sharedStream(l.set).fill(p, off)
		e := randomEnding(rng, time.Millisecond)
		n, err := f.WriteAtContext(e.ctx, p, off)
		fillCanary(p)
		l.judge("write", n, len(p), err, e)
		explained := err == nil || e.explains(err)
		e.cancel()
		if !explained {
			return err
		}
	}
}

// judge objects to a transfer that has not done all, and yet not failed.
func (l *life) judge(op string, n, size int, err error, e ending) {
	if err == nil && n != size {
		l.c.s.add("wrong count", "%s: %s of %d bytes around a shutdown: %d, nil", l.set.name, op, size, n)
	}
	if err == nil && e.forbids() {
		l.c.s.add("not ended", "%s: %s around a shutdown with a context that had ended", l.set.name, op)
	}
}

// connect makes a connection between two ends on the same driver.
func (l *life) connect() error {
	ctx := context.Background()
	network, address := "tcp", "127.0.0.1:0"
	if l.c.rng.IntN(2) == 0 {
		network, address = "unix", filepath.Join(l.c.s.dir.name, fmt.Sprintf("churn-%d-%d.sock", l.c.index, l.c.round))
	}
	listener, err := l.d.Listen(ctx, network, address)
	if err != nil {
		return err
	}
	l.near, err = l.d.Dial(ctx, network, listener.Addr().String())
	if err == nil {
		l.far, err = listener.AcceptConn()
	}
	return errors.Join(err, listener.Close())
}

func (l *life) echo(rng *rand.Rand) error {
	p := make([]byte, 4096)
	for {
		n, err := l.far.Read(p)
		if err == nil {
			_, err = l.far.Write(p[:n])
		}
		if err != nil {
			return err
		}
	}
}

func (l *life) say(rng *rand.Rand) error {
	content := streamOf(3<<40, rng.Uint64())
	scratch := make([]byte, 4096)
	var off int64
	for {
		p := make([]byte, 1+rng.IntN(4096))
		content.fill(p, off)
		if _, err := l.near.Write(p); err != nil {
			return err
		}
		for done := 0; done < len(p); {
			n, err := l.near.Read(p[done:])
			if err != nil {
				return err
			}
			done += n
		}
		if wrong, first := content.differ(p, off, scratch); wrong > 0 {
			l.c.s.corruption(wrong, "%s: echo before a shutdown: %s", l.set.name, content.excerpt(p, off, first))
		}
		off += int64(len(p))
	}
}

// await waits for a pipe into which something comes now and then.
func (l *life) await(rng *rand.Rand) error {
	r, err := l.d.Register(l.pipe[0], poll.Readable)
	if err != nil {
		return err
	}
	p := make([]byte, 16)
	for {
		if rng.IntN(2) == 0 {
			if _, err := syscall.Write(l.pipe[1], p[:1]); err != nil {
				return err
			}
		}
		e := randomEnding(rng, time.Millisecond)
		event, err := r.Ready(e.ctx, poll.Readable)
		explained := err != nil && e.explains(err)
		e.cancel()
		switch {
		case err == nil:
			if _, err := syscall.Read(l.pipe[0], p); errors.Is(err, syscall.EAGAIN) {
				r.ClearReady(event)
			}
		case !explained:
			if deregister := r.Deregister(); deregister != nil && !errors.Is(deregister, eddy.ErrShutdown) {
				return deregister
			}
			return err
		}
	}
}

func (l *life) signals(*rand.Rand) error { return awaitSignals(l.d) }
