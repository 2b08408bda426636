package eddy

import (
	"testing"
	"time"

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
	l.watch.loops = func() []*loop { return []*loop{l} }
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.handle.RegisterAt(registration, pair[0], poll.Readable|poll.Priority); err != nil {
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
	if !l.relieve(0) {
		t.Fatal("a reader goes on though others have data")
	}
	if !other.IO().Readiness().Ready(driver.Reading).IsReadable() {
		t.Error("the other has not learned of its data")
	}
	if n := l.watch.relief.Load(); n != 1 {
		t.Errorf("%d events that readers have found are known to the rounds, want 1: "+
			"they would take the loop for being on time", n)
	}
}

// TestReadersJumpTheQueue catches readers who wake ever more others, while those
// whom a turn has woken wait for a processor.
func TestReadersJumpTheQueue(t *testing.T) {
	l, _ := newStalledLoop(t, new(driver.Registration))
	l.watch.rounds.behind.Store(true)
	turns := func(waking bool, queue time.Duration) uint64 {
		l.waking.Store(waking)
		l.watch.queue.average.Store(int64(queue))
		before := l.handle.Metrics().Turns
		l.relieve(0)
		return l.handle.Metrics().Turns - before
	}
	if turns(true, runQueueShort-1) != 0 {
		t.Error("a turn though somebody is waking")
	}
	if turns(false, 0) != 1 {
		t.Error("no turn though everybody runs")
	}
	if turns(true, runQueueShort) != 1 {
		t.Error("no turn though the sleepers wait for others than readers")
	}
	l.watch.rounds.behind.Store(false)
	if turns(true, runQueueShort) != 0 {
		t.Error("a queue of long ago counts")
	}
}

// TestLuckyReaderKeepsOthersFromRunning catches a reader that finds data again
// and again while those whom a turn has woken have to wait for its processor.
func TestLuckyReaderKeepsOthersFromRunning(t *testing.T) {
	s := new(socket)
	s.loop, s.fd = newStalledLoop(t, &s.registration)
	if !s.loop.relieve(0) { // its data is nobody else's
		t.Fatal("there is no data")
	}
	s.io().Clear(s.io().Readiness(), notReadable)
	s.loop.watch.rounds.behind.Store(true)
	look := func(lucky, queue time.Duration, waking bool) (found bool) {
		s.loop.gate.begin()
		s.loop.watch.queue.average.Store(int64(queue))
		s.loop.waking.Store(waking)
		if s.lucky = 0; lucky > 0 {
			s.lucky = sinceStart() - lucky
		}
		_, _, found = s.lookAgain(nil) // which takes nothing
		return found
	}
	const long, short = reliefLuck + time.Second, time.Millisecond
	if look(long, short, true) {
		t.Error("goes on while others wait for its processor")
	}
	for name, found := range map[string]bool{
		"everybody runs":                     look(long, short, false),
		"it has just begun":                  look(0, short, true),
		"it would wait for a long time then": look(long, runQueueShort, true),
	} {
		if !found {
			t.Errorf("sleeps though %s", name)
		}
	}
	if look(0, short, false); s.lucky == 0 {
		t.Error("its luck has not begun")
	}
}

func TestLuckOutlastsASleep(t *testing.T) {
	PartInTime(t)
	s := new(socket)
	s.loop, s.fd = newStalledLoop(t, &s.registration)
	s.lucky = 1
	s.io().Set(poll.ReadyReadable) // who waits does not have to
	if s.awaitData(nil); s.lucky != 0 {
		t.Error("who has slept is still taken to have had data all the time")
	}
}

// TestReaderSleepsOverItsOwnData catches a reader that takes its own data, which
// its turn of the loop has found, for others'.
func TestReaderSleepsOverItsOwnData(t *testing.T) {
	s := new(socket)
	s.loop, s.fd = newStalledLoop(t, &s.registration)
	if _, errno, found := s.lookAgain(nil); !found || errno != unix.EAGAIN || s.lucky == 0 {
		t.Errorf("found %v, %v; in luck since %v; want it to read", found, errno, s.lucky)
	}
}
