package eddy

import (
	"fmt"
	"os"

	"github.com/eddyio/eddy/driver"
)

// A Backend is the set of kernel facilities that a driver uses.
type Backend uint8

const (
	// BackendAuto chooses the best that is available. On Linux that is epoll for
	// readiness and, for files, whichever of plain system calls and a ring is
	// measured to be faster; without io_uring, plain system calls. Elsewhere it is
	// BackendPortable. The environment variable EDDY_BACKEND, set to "uring", "epoll"
	// or "portable", overrides it.
	BackendAuto Backend = iota

	// BackendURing is epoll for readiness, and the ring for every file operation,
	// whether that is the fastest way or not. New fails if io_uring is not available.
	BackendURing

	// BackendEpoll is Linux without io_uring: epoll for readiness, plain system calls
	// for files. An operation that is abandoned occupies a goroutine and a thread
	// until the kernel has finished it.
	BackendEpoll

	// BackendPortable is package net and os.File, on every system that Go supports.
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

// ParseBackend returns the backend that has the given name. It is the inverse
// of [Backend.String], and returns an error for any other string.
func ParseBackend(s string) (Backend, error) {
	for i, name := range backendNames {
		if s == name {
			return Backend(i), nil
		}
	}
	return 0, fmt.Errorf("eddy: there is no backend %q; there are auto, uring, epoll and portable", s)
}

// loopLimit is far more than there are processors to turn them; each takes some
// descriptors.
const loopLimit = 1024

// environment is the variable that overrides BackendAuto.
const environment = "EDDY_BACKEND"

// Config configures a driver for [New]. The zero value is a good choice.
type Config struct {
	// Backend is what the driver uses. BackendAuto, the zero value, leaves the choice
	// to the environment and the driver.
	Backend Backend

	// RingEntries is the size of the ring's submission queue, from 1 to
	// driver.MaxRingEntries; the kernel rounds it up to a power of two. 0 means
	// driver.DefaultRingSize. It does not limit the number of requests in flight.
	RingEntries uint32

	// Submit says which thread hands requests to the kernel. The zero value,
	// driver.SubmitAuto, decides by the number of processors and by what the kernel
	// supports.
	Submit driver.SubmitMode

	// Depth, Workers and Holds have the meaning, the ranges and the defaults of the
	// fields of driver.Config that have the same names.
	Depth   int
	Workers uint32
	Holds   int

	// Loops is the number of event loops over which sockets are spread; each has a
	// goroutine of its own. Listeners, sockets of datagrams, and connections with
	// little to do wait in Go's own poller, and take a second descriptor for it: at
	// most 1024 of them, and at most a sixteenth of the descriptors that the process
	// may open. 0 means one for every four processors (GOMAXPROCS, when the first
	// socket is made), at least one and at most 8: more make the slowest answers
	// slower, docs/architecture.md says why. Negative values, and those above 1024,
	// are refused.
	Loops int

	// ParkAtOnce makes who reads from a socket that has nothing park at once, even if
	// the processor is saturated. Otherwise such a reader looks once more, and then
	// waits for some microseconds in the kernel, as long as that tends to pay off; and
	// so does one whose connection is the only one at work and is answered quickly.
	ParkAtOnce bool

	byEnvironment bool // the environment has chosen Backend
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
	if c.Loops < 0 || c.Loops > loopLimit {
		return c, fmt.Errorf("eddy: there cannot be %d loops, but at most %d", c.Loops, loopLimit)
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
	c.Backend, c.byEnvironment = b, true
	return c, nil
}
