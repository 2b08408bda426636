package eddy

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/poll"
)

// newStalledLoop returns a loop that does not turn by itself, and a descriptor
// with something to read that is in it with the registration.
func newStalledLoop(t *testing.T, registration *driver.Registration) (l *loop, fd int) {
	t.Helper()
	l, err := newLoop(driver.Config{NoRing: true}, new(watch))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.handle.RegisterAt(registration, pair[0], poll.Readable); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registration.Deregister(); err != nil {
			t.Error(err)
		}
		for _, fd := range pair {
			if err := unix.Close(fd); err != nil {
				t.Error(err)
			}
		}
		if err := l.file.Close(); err != nil {
			t.Error(err)
		}
		if err := l.driver.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	if _, err := unix.Write(pair[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	return l, pair[0]
}

// TestReadersThatFindDataStarveTheOthers catches readers on a saturated machine
// that look for themselves only: who has data meanwhile would not learn of it.
func TestReadersThatFindDataStarveTheOthers(t *testing.T) {
	other := new(driver.Registration)
	l, _ := newStalledLoop(t, other)
	if n := l.relieve(sinceStart()); n != 1 {
		t.Fatalf("a reader found %d events of others, want 1", n)
	}
	if !other.IO().Readiness().Ready(driver.Reading).IsReadable() {
		t.Error("the other has not learned of its data")
	}
	if n := l.watch.relief.Load(); n != 1 {
		t.Errorf("%d events that readers have found are known to the rounds, want 1: "+
			"they would take the loop for being on time", n)
	}
}

func TestEveryReaderTurnsTheLoopEachTime(t *testing.T) {
	l, _ := newStalledLoop(t, new(driver.Registration))
	now := sinceStart()
	l.relieve(now)
	turns := l.handle.Metrics().Turns
	for range 10 {
		l.relieve(now + reliefRest - 1)
	}
	if more := l.handle.Metrics().Turns - turns; more != 0 {
		t.Errorf("%d turns within %v of one, want none", more, reliefRest)
	}
	if l.relieve(now + reliefRest); l.handle.Metrics().Turns != turns+1 {
		t.Errorf("no turn after %v", reliefRest)
	}
}
