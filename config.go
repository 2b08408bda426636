package eddy

import (
	"fmt"
	"os"

	"github.com/eddyio/eddy/driver"
)

// Backend says by what means a driver does its work.
type Backend uint8

const (
	// BackendAuto is the best there is: on Linux epoll for readiness and, for
	// files, whatever is measured to be fastest of a plain system call and a
	// ring; elsewhere BackendPortable. The environment variable EDDY_BACKEND,
	// set to "uring", "epoll" or "portable", overrides it.
	BackendAuto Backend = iota

	// BackendURing puts every file operation on the ring, whether that is the
	// fastest way or not. New fails where io_uring is not to be had.
	BackendURing

	// BackendEpoll is Linux without io_uring: epoll for readiness, plain
	// system calls for files. An operation that has to be left before it ends
	// costs a goroutine and a thread for as long as it takes.
	BackendEpoll

	// BackendPortable is std's poller and os.File, on every system Go has.
	BackendPortable
)

var backendNames = [...]string{"auto", "uring", "epoll", "portable"}

// String returns "auto", "uring", "epoll" or "portable".
func (b Backend) String() string {
	if int(b) < len(backendNames) {
		return backendNames[b]
	}
	return fmt.Sprintf("Backend(%d)", uint8(b))
}

// environment is the variable that overrides BackendAuto.
const environment = "EDDY_BACKEND"

// ParseBackend is the inverse of Backend.String.
func ParseBackend(s string) (Backend, error) {
	for i, name := range backendNames {
		if s == name {
			return Backend(i), nil
		}
	}
	return 0, fmt.Errorf("eddy: there is no backend %q; there are auto, uring, epoll and portable", s)
}

// Config says how a driver is set up. The zero value is a good one.
type Config struct {
	// Backend says by what means the work is done.
	Backend Backend

	// RingEntries is the size of the ring's submission queue, 1 to
	// driver.MaxRingEntries; the kernel rounds up to a power of two. 0 means
	// driver.DefaultRingSize. It does not limit the requests in flight.
	RingEntries uint32

	// Submit says which thread hands requests to the kernel.
	Submit driver.SubmitMode

	// Depth, Workers and Holds are those of driver.Config.
	Depth   int
	Workers uint32
	Holds   int

	// Loops is over how many registries sockets are spread, each turned by a
	// goroutine of its own. 0 means GOMAXPROCS, but not more than pay.
	Loops int

	// NoHolds makes a reader with nothing to read sleep at once, however
	// saturated the processor is. By default it looks once more, and waits for
	// some microseconds in the kernel, while that is found to pay.
	NoHolds bool
}

// resolve applies the environment, and checks what is to be checked on every
// system.
func (c Config) resolve() (Config, error) {
	if int(c.Backend) >= len(backendNames) {
		return c, fmt.Errorf("eddy: there is no %v", c.Backend)
	}
	if c.RingEntries > driver.MaxRingEntries {
		return c, fmt.Errorf("eddy: RingEntries %d is above the kernel's limit of %d", c.RingEntries, driver.MaxRingEntries)
	}
	if c.Submit > driver.SubmitThread {
		return c, fmt.Errorf("eddy: there is no %v", c.Submit)
	}
	if c.Loops < 0 {
		return c, fmt.Errorf("eddy: there cannot be %d loops", c.Loops)
	}
	if c.Backend != BackendAuto {
		return c, nil
	}
	name := os.Getenv(environment)
	if name == "" {
		return c, nil
	}
	b, err := ParseBackend(name)
	if err != nil {
		return c, fmt.Errorf("%w (from %s)", err, environment)
	}
	c.Backend = b
	return c, nil
}

// eventsPerTurn is how many readiness events a turn takes at most. One that
// took so many may have left some.
const eventsPerTurn = 128

func (c Config) driver() driver.Config {
	return driver.Config{
		Events:      eventsPerTurn,
		Submit:      c.Submit,
		RingEntries: c.RingEntries,
		Depth:       c.Depth,
		Workers:     c.Workers,
		Holds:       c.Holds,
		NoRing:      c.Backend == BackendEpoll,
	}
}
