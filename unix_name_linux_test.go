package eddy_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// An abstract name is no file, and a file of that name is somebody else's.
func TestCloseOfAnAbstractSocketRemovesAFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		t.Chdir(t.TempDir())
		name := "@eddy-test-" + strconv.Itoa(os.Getpid())
		if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := d.Listen(context.Background(), "unix", name)
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(true)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name); err != nil {
			t.Errorf("a file named as the abstract socket was: %v", err)
		}
	})
}

// Who hands a listener on, by File, and forgets it, has not closed it.
func TestGarbageCollectorRemovesALiveSocketsName(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := filepath.Join(t.TempDir(), "socket")
		f := func() *os.File {
			l, err := d.Listen(context.Background(), "unix", name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := l.File()
			if err != nil {
				t.Fatal(err)
			}
			return f
		}()
		defer f.Close()
		before := len(descriptors())
		stop := collect()
		defer stop()
		becomes(t, "the listener is collected", func() bool { return len(descriptors()) < before })
		c, err := net.Dial("unix", name)
		if err != nil {
			t.Fatalf("a socket that still listens, whose Listener was collected: %v", err)
		}
		c.Close()
	})
}

// What fails after the name was made takes it away again.
func TestFailedListenLeavesItsName(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		if d.Status().Backend == eddy.BackendPortable {
			return // nothing can fail after it
		}
		listen(t, d, "tcp").Close() // makes the loops
		name := filepath.Join(t.TempDir(), "socket")
		l, err := withRoomFor(t, 1, func() (*eddy.Listener, error) { // std's socket
			return d.Listen(context.Background(), "unix", name)
		})
		if err == nil {
			l.Close()
			t.Fatal("one descriptor was enough to listen")
		}
		if l, err = d.Listen(context.Background(), "unix", name); err != nil {
			t.Fatalf("a Listen that has failed leaves its name behind: %v", err)
		}
		l.Close()
	})
}

// withRoomFor calls f while so many descriptors can be opened.
func withRoomFor[T any](t *testing.T, descriptors int, f func() (T, error)) (T, error) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	first, err := unix.Dup(0) // the lowest number that is free
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(first)
	low := old
	low.Cur = uint64(first + descriptors)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	return f()
}
