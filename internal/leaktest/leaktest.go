package leaktest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Failed() bool
}

// Grace is how long goroutines and descriptors may take to disappear after a
// test: some end on their own time once the test is done with them.
const Grace = 5 * time.Second

// Check compares, when the test and the cleanups registered after this call are
// done, the goroutines and descriptors with those there are now, exactly. What
// is left is reported with its stack or with what the descriptor refers to.
//
// It looks at the whole process, so tests that use it must not run in parallel
// with others.
func Check(t TB) {
	t.Helper()
	before := Take()
	t.Cleanup(func() {
		t.Helper()
		if t.Failed() {
			return // a test that gave up half-way has left what it had
		}
		if report := before.Wait(Grace); report != "" {
			t.Errorf("%s", report)
		}
	})
}

// Snapshot is what a process has at a moment.
type Snapshot struct {
	goroutines map[string]bool
	fds        map[int]string
}

// Take makes a Snapshot.
func Take() Snapshot {
	warmUp()
	s := Snapshot{goroutines: map[string]bool{}, fds: openFds()}
	for _, g := range stacks() {
		s.goroutines[g.id] = true
	}
	return s
}

// Wait compares until there is no difference, for at most the given time. It
// returns "", or a description of the differences that are left.
func (s Snapshot) Wait(limit time.Duration) string {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		report := s.Difference()
		if report == "" || time.Now().After(deadline) {
			return report
		}
		time.Sleep(pause)
	}
}

// Difference describes what has come or gone since the Snapshot, "" if nothing.
func (s Snapshot) Difference() string {
	var b strings.Builder
	for _, g := range stacks() {
		if !s.goroutines[g.id] {
			fmt.Fprintf(&b, "leaked goroutine:\n%s\n\n", g.stack)
		}
	}
	now := openFds()
	for _, fd := range sorted(now) {
		switch link, was := s.fds[fd]; {
		case !was:
			fmt.Fprintf(&b, "leaked descriptor %d: %s\n", fd, now[fd])
		case link != now[fd]:
			fmt.Fprintf(&b, "descriptor %d was %s and is %s\n", fd, link, now[fd])
		}
	}
	for _, fd := range sorted(s.fds) {
		if _, is := now[fd]; !is {
			fmt.Fprintf(&b, "descriptor %d was closed by somebody it did not belong to: %s\n", fd, s.fds[fd])
		}
	}
	return b.String()
}

// Fds lists the open descriptors and what they refer to; nil where the system
// does not tell.
func Fds() map[int]string { return openFds() }

func sorted(fds map[int]string) []int {
	numbers := make([]int, 0, len(fds))
	for fd := range fds {
		numbers = append(numbers, fd)
	}
	slices.Sort(numbers)
	return numbers
}

// warmUp makes the runtime open what it opens at first use, its own poller.
func warmUp() {
	r, w, err := os.Pipe()
	if err != nil {
		return // the test will meet the same error
	}
	_ = r.Close()
	_ = w.Close()
}
