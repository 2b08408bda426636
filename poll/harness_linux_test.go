package poll_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/eddyio/eddy/poll"
	"golang.org/x/sys/unix"
)

const patience = 10 * time.Second // for what must come; nothing waits that long

func newPoll(t *testing.T) *poll.Poll {
	t.Helper()
	p, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func newWaker(t *testing.T, p *poll.Poll, token poll.Token) *poll.Waker {
	t.Helper()
	w, err := poll.NewWaker(p.Registry(), token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// descriptor is closed at the end of the test, unless it was before.
type descriptor struct {
	number int
	open   bool
}

func own(t *testing.T, number int) *descriptor {
	d := &descriptor{number, true}
	t.Cleanup(d.close)
	return d
}

func (d *descriptor) PollFd() int { return d.number }

func (d *descriptor) close() {
	if d.open {
		unix.Close(d.number)
		d.open = false
	}
}

func (d *descriptor) write(t *testing.T, text string) {
	t.Helper()
	if n, err := unix.Write(d.number, []byte(text)); n != len(text) || err != nil {
		t.Fatalf("write: %d of %d bytes, %v", n, len(text), err)
	}
}

// drain reads until EAGAIN or the end and returns what there was.
func (d *descriptor) drain(t *testing.T) string {
	t.Helper()
	var all []byte
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(d.number, buffer)
		switch {
		case err == unix.EAGAIN || n == 0 && err == nil:
			return string(all)
		case err != nil:
			t.Fatalf("read: %v", err)
		}
		all = append(all, buffer[:n]...)
	}
}

func pipe(t *testing.T) (r, w *descriptor) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return own(t, fds[0]), own(t, fds[1])
}

func socketPair(t *testing.T) (a, b *descriptor) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return own(t, fds[0]), own(t, fds[1])
}

func register(t *testing.T, p *poll.Poll, s poll.Source, token poll.Token, i poll.Interest) {
	t.Helper()
	if err := p.Registry().Register(s, token, i); err != nil {
		t.Fatal(err)
	}
}

// events polls once and returns what was found.
func events(t *testing.T, p *poll.Poll, timeout time.Duration) []poll.Event {
	t.Helper()
	found := poll.NewEvents(16)
	if err := p.Poll(found, timeout); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(found.All)
}

// expect polls once, for patience if something is to come, and compares.
func expect(t *testing.T, p *poll.Poll, want ...poll.Event) {
	t.Helper()
	timeout := patience
	if len(want) == 0 {
		timeout = 0
	}
	if got := events(t, p, timeout); !slices.Equal(got, want) {
		t.Errorf("events are %v, want %v", got, want)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
