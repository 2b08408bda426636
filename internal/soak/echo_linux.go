package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"

	"github.com/eddyio/eddy"
)

// echo is the server's end of a connection.
type echo struct {
	s   *soak
	set *setting
	c   *eddy.Conn
	rng *rand.Rand
}

func (e *echo) run() {
	defer e.s.serving.beat()
	var err error
	if e.rng.IntN(8) == 0 {
		_, err = io.Copy(e.c, e.c) // splice(2), where there is
	} else {
		err = e.serve()
	}
	// A client that has gone away without a word is none of ours to judge.
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		e.s.add("unexpected error", "%s: server: %v", e.set.name, err)
	}
	if err := e.c.Close(); err != nil {
		e.s.add("unexpected error", "%s: server: close: %v", e.set.name, err)
	}
}

func (e *echo) serve() error {
	l := link{s: e.s, set: e.set, c: e.c, rng: e.rng}
	p := make([]byte, 1<<(8+e.rng.IntN(7)))
	for {
		n, err := l.read(p[:1+e.rng.IntN(len(p))])
		e.s.mistake.corruptEcho(p[:max(n, 0)])
		if n > 0 {
			if err := l.write(p[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// echoDatagrams sends back what comes, in batches.
func (v *server) echoDatagrams() {
	messages := make([]eddy.Message, 16)
	buffers := make([]byte, len(messages)*datagramSize)
	for {
		for i := range messages {
			messages[i] = eddy.Message{Buf: buffers[i*datagramSize : (i+1)*datagramSize]}
		}
		n, err := v.packets.ReadBatch(context.Background(), messages)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) || !v.s.stopping() {
				v.s.add("unexpected error", "%s: udp server: %v", v.set.name, err)
			}
			return
		}
		for i := range messages[:n] {
			messages[i].Buf = messages[i].Buf[:messages[i].N]
		}
		if v.s.mistake.repeatDatagram() {
			_, _ = v.packets.WriteBatch(context.Background(), messages[:1])
		}
		// A client that has closed its socket has a datagram's answer refused.
		if _, err := v.packets.WriteBatch(context.Background(), messages[:n]); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			if !errors.Is(err, net.ErrClosed) || !v.s.stopping() {
				v.s.add("unexpected error", "%s: udp server: %v", v.set.name, err)
			}
		}
	}
}
