package sys_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

func newFD(t *testing.T) *sys.FD {
	t.Helper()
	number, err := sys.EventCreate()
	if err != nil {
		t.Fatal(err)
	}
	return sys.NewFD(number)
}

func isOpen(number int) bool {
	_, err := unix.FcntlInt(uintptr(number), unix.F_GETFD, 0)
	return err == nil
}

func TestNumberStaysOpenUntilTheLastRelease(t *testing.T) {
	fd := newFD(t)
	number, ok := fd.Acquire()
	if !ok || number != fd.Number() {
		t.Fatalf("Acquire = %d, %v", number, ok)
	}
	fd.Acquire()
	if err := fd.Close(); err != nil {
		t.Fatal(err)
	}
	if n, ok := fd.Acquire(); ok || n != -1 {
		t.Errorf("Acquire after Close = %d, %v", n, ok)
	}
	for range 2 {
		if !isOpen(number) {
			t.Fatal("closed while in use")
		}
		if err := fd.Release(); err != nil {
			t.Error(err)
		}
	}
	if isOpen(number) {
		t.Error("still open after the last Release")
	}
	if err := fd.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseOfIdleNumberReleasesIt(t *testing.T) {
	fd := newFD(t)
	fd.Acquire()
	fd.Release()
	if !isOpen(fd.Number()) {
		t.Fatal("closed by a Release without Close")
	}
	if err := fd.Close(); err != nil {
		t.Error(err)
	}
	if isOpen(fd.Number()) {
		t.Error("still open after Close")
	}
}

func TestReleaseWithoutAcquirePanics(t *testing.T) {
	for name, prepare := range map[string]func(*sys.FD){
		"open":   func(*sys.FD) {},
		"closed": func(fd *sys.FD) { fd.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			fd := newFD(t)
			prepare(fd)
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			fd.Release()
		})
	}
}

func TestConcurrentCloseReleasesOnce(t *testing.T) {
	for range 500 {
		fd := newFD(t)
		number := fd.Number()
		errs := make(chan error, 3)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for {
					n, ok := fd.Acquire()
					if !ok {
						return
					}
					if err := sys.EventAdd(n); err != nil {
						t.Errorf("an acquired number: %v", err)
					}
					if err := fd.Release(); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() { errs <- fd.Close() })
		}
		all.Wait()
		succeeded := 0
		for range 3 {
			if err := <-errs; err == nil {
				succeeded++
			}
		}
		if succeeded != 1 {
			t.Fatalf("%d of 3 Closes succeeded", succeeded)
		}
		if isOpen(number) {
			t.Fatal("still open")
		}
	}
}
