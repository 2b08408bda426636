package eddy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// portableSockets are a driver's connections and listeners of std's that are
// open. std's poller knows no shutdown; deadlines in the past stand in for it.
type portableSockets struct {
	mu   sync.Mutex
	open map[portableSocket]struct{}
	down bool
}

// portableSocket is one of them.
type portableSocket interface {
	// shutdown ends the calls under way and those to come, but for Close.
	shutdown()
}

func (p *portableSockets) add(s portableSocket) {
	p.mu.Lock()
	if p.open == nil {
		p.open = map[portableSocket]struct{}{}
	}
	p.open[s] = struct{}{}
	down := p.down
	p.mu.Unlock()
	if down {
		s.shutdown()
	}
}

func (p *portableSockets) remove(s portableSocket) {
	p.mu.Lock()
	delete(p.open, s)
	p.mu.Unlock()
}

func (p *portableSockets) shutdown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for s := range p.open {
		s.shutdown()
	}
}

// endedBy is what std's error means on a socket that was shut down: its deadline
// is not the user's.
func endedBy(down bool, err error) error {
	if !down || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return inPlaceOf(err, ErrShutdown)
}

// inPlaceOf is a cause as std would tell of it, who tells of another.
func inPlaceOf(err, cause error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return cause
	}
	told := *op
	told.Err = cause
	return &told
}

// lacks says that something of std's has no such method.
func lacks(method string, what any) error {
	return fmt.Errorf("eddy: %s of %T: %w", method, what, errors.ErrUnsupported)
}
