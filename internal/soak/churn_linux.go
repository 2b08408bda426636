package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/eddyio/eddy"
)

// startChurn has drivers made and shut down, with work in flight.
func (s *soak) startChurn() {
	for i := range s.o.drivers {
		c := &churn{s: s, rng: rand.New(rand.NewPCG(s.o.seed, 5<<32|uint64(i))), index: i}
		s.worker(fmt.Sprintf("drivers %d", i), c.run)
	}
}

type churn struct {
	s     *soak
	rng   *rand.Rand
	index int
	round int
	pulse *pulse
}

// run makes a driver of each setting, however long that takes, and then others
// until the time is over.
func (c *churn) run(p *pulse) {
	c.pulse = p
	for c.round < len(c.s.settings) || !c.s.stopping() {
		p.beat()
		set := c.s.settings[(c.index+c.round)%len(c.s.settings)]
		c.round++
		if err := c.live(set); err != nil {
			c.s.add("unexpected error", "%s: a driver's life: %v", set.name, err)
		}
		set.drivers.Add(1)
	}
}

// config varies what can be varied.
func (c *churn) config(set *setting) eddy.Config {
	cfg := set.cfg
	if c.rng.IntN(2) == 0 {
		cfg.RingEntries = 1 << c.rng.IntN(9)
		cfg.Depth = 1 + c.rng.IntN(64)
		cfg.Workers = uint32(1 + c.rng.IntN(8))
		cfg.Holds = c.rng.IntN(8) - 1
		cfg.Loops = c.rng.IntN(4)
		cfg.ParkAtOnce = c.rng.IntN(2) == 0
	}
	return cfg
}

// live is the life of a driver.
func (c *churn) live(set *setting) error {
	d, err := eddy.New(c.config(set))
	if err != nil {
		return err
	}
	c.s.mistake.leakPin()
	if err := c.s.mistake.leakMapping(); err != nil {
		return err
	}
	if c.s.mistake.forgetDriver() {
		return nil
	}
	l, err := c.newLife(set, d)
	if err == nil {
		c.pulse.beat()
		l.begin()
		c.rest()
		if c.rng.IntN(3) == 0 {
			c.disable(set, d)
		}
	}
	c.pulse.beat()
	return errors.Join(err, c.end(set, d, l))
}

func (c *churn) rest() {
	c.s.pause(time.Duration(c.rng.IntN(30_000)) * time.Microsecond)
}

// disable switches the ring off under those who use it.
func (c *churn) disable(set *setting, d *eddy.Driver) {
	d.DisableRing()
	c.s.counts.disabled.Add(1)
	if b := d.Status().Backend; b != eddy.BackendEpoll && set.cfg.Backend != eddy.BackendPortable {
		c.s.add("unexpected status", "%s: after DisableRing the backend is %v", set.name, b)
	}
	c.rest()
}

// end shuts the driver down, once or twice at a time, and looks at what is left.
func (c *churn) end(set *setting, d *eddy.Driver, l *life) error {
	ctx, cancel := patient(patience - 20)
	defer cancel()
	var second error
	var twice sync.WaitGroup
	if c.rng.IntN(4) == 0 {
		twice.Go(func() { second = d.Shutdown(ctx) })
	}
	err := d.Shutdown(ctx)
	twice.Wait()
	err = errors.Join(err, second)
	if err != nil {
		err = fmt.Errorf("shutdown: %w", err)
	}
	c.pulse.beat()
	if l != nil {
		err = errors.Join(err, l.end())
	}
	if left := remaining(gauges(d.Metrics(), eddy.Metrics{})); left != "" {
		c.s.add("left in a driver", "%s, after its shutdown:%s", set.name, left)
	}
	return err
}

// life is what goes on on such a driver. Everybody goes on until he is told that
// the driver was shut down.
type life struct {
	c       *churn
	set     *setting
	d       *eddy.Driver
	files   []*eddy.File
	written string
	near    *eddy.Conn
	far     *eddy.Conn
	pipe    [2]int
	group   sync.WaitGroup
}

func (c *churn) newLife(set *setting, d *eddy.Driver) (*life, error) {
	l := &life{c: c, set: set, d: d, pipe: [2]int{-1, -1}}
	shared := filepath.Join(c.s.dir.name, "shared-"+set.name)
	l.written = filepath.Join(c.s.dir.name, fmt.Sprintf("churn-%d", c.index))
	if err := createShared(l.written, set); err != nil {
		return l, err
	}
	for _, o := range []struct {
		name string
		flag int
	}{{shared, 0}, {shared, syscall.O_DIRECT}, {l.written, os.O_RDWR}, {l.written, os.O_RDWR | syscall.O_DIRECT}} {
		f, err := d.OpenFile(o.name, o.flag, 0)
		if err != nil {
			return l, err
		}
		l.files = append(l.files, f)
	}
	if err := syscall.Pipe2(l.pipe[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC); err != nil {
		return l, err
	}
	return l, l.connect()
}

// begin starts some of what there is to do.
func (l *life) begin() {
	tasks := []func(*rand.Rand) error{l.echo, l.say, l.await, l.signals}
	for i := range l.files {
		tasks = append(tasks, func(rng *rand.Rand) error { return l.read(l.files[i], rng) })
	}
	for i := range l.files[2:] {
		tasks = append(tasks, func(rng *rand.Rand) error { return l.write(l.files[2+i], rng) })
	}
	for _, task := range tasks {
		rng := rand.New(rand.NewPCG(l.c.rng.Uint64(), 0))
		l.group.Go(func() {
			if err := task(rng); !errors.Is(err, eddy.ErrShutdown) {
				l.c.s.add("unexpected error", "%s: on a driver that is being shut down: %v", l.set.name, err)
			}
		})
	}
}

// end waits for everybody and closes everything.
func (l *life) end() error {
	l.group.Wait()
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	for _, c := range []*eddy.Conn{l.near, l.far} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	for _, fd := range l.pipe {
		if fd >= 0 {
			errs = append(errs, syscall.Close(fd))
		}
	}
	content, err := os.ReadFile(l.written)
	errs = append(errs, err)
	scratch := make([]byte, 4096)
	if wrong, first := sharedStream(l.set).differ(content, 0, scratch); wrong > 0 || len(content) != sharedBlocks*blockSize {
		l.c.s.corruption(wrong, "%s: file of %d bytes after a shutdown: %s", l.set.name, len(content), sharedStream(l.set).excerpt(content, 0, first))
	}
	return errors.Join(errs...)
}
