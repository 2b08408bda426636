package eddy

import (
	"os"
	"testing"
)

// EDDY_TEST_APART=1 makes every socket apart as soon as it waits, so that all
// tests of sockets test those.
func init() { partAtOnce = os.Getenv("EDDY_TEST_APART") == "1" }

// PartAtOnce does so for one test, and PartInTime the opposite.
func PartAtOnce(t *testing.T) { setPartAtOnce(t, true) }

func PartInTime(t *testing.T) { setPartAtOnce(t, false) }

func setPartAtOnce(t *testing.T, to bool) {
	before := partAtOnce
	partAtOnce = to
	t.Cleanup(func() { partAtOnce = before })
}

// EndAparts is the beginning of a shutdown.
func EndAparts(d *Driver) { d.system.(*linuxSystem).watch.aparts.end() }

// Taken is how many bytes have been read since the last sleep, or so.
func Taken(c *Conn) int {
	s := c.t.(*socket)
	s.reads.Lock()
	defer s.reads.Unlock()
	return s.taken
}

// LookAgain is what a reader does on a saturated machine.
func LookAgain(c *Conn) (found bool, err error) {
	s := c.t.(*socket)
	s.reads.Lock()
	defer s.reads.Unlock()
	s.loop.gate.begin()
	s.loop.turns.Lock() // somebody else turns it, and has not told the socket
	defer s.loop.turns.Unlock()
	s.io().Clear(s.io().Readiness(), notReadable)
	_, errno, found := s.lookAgain(make([]byte, 16))
	if errno != 0 {
		err = errno
	}
	return found, err
}
