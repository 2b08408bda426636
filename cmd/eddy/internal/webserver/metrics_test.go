package webserver

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

func TestMetricNameIsUnreadable(t *testing.T) {
	for name, want := range map[string]string{
		"Driver.StaleCQEs": "driver_stale_cqes", "Driver.InFlight": "driver_in_flight", "Sockets": "sockets", "RingDisabled": "ring_disabled",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestServersProblemIsNotFound: a client that is told 404 for want of descriptors believes it.
func TestServersProblemIsNotFound(t *testing.T) {
	wrap := func(err error) error { return &fs.PathError{Op: "openat", Path: "x", Err: err} }
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO} {
		if err := outcome(wrap(errno)); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v becomes %v", errno, err)
		}
	}
	for _, err := range []error{syscall.ENOTDIR, syscall.ELOOP, errors.New("path escapes from parent")} {
		if got := outcome(wrap(err)); !errors.Is(got, fs.ErrNotExist) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	if err := outcome(wrap(syscall.EACCES)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("EACCES becomes %v", err)
	}
}
