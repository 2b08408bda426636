package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// Some regular files can be waited for, and wait: /proc/kmsg, tracefs's trace_pipe.
// os.File has them in its poller, so that Close ends a Read and deadlines work.
func TestCloseLeavesAReaderOfAPollableRegularFile(t *testing.T) {
	const name = "/proc/kmsg"
	type file interface {
		Read([]byte) (int, error)
		Close() error
	}
	try := func(t *testing.T, open func() (file, error)) {
		f, err := open()
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			t.Skip("SKIPPED: no permission to read ", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			for {
				if _, err := f.Read(make([]byte, 8192)); err != nil {
					ended <- err
					return
				}
			}
		}()
		time.Sleep(50 * time.Millisecond) // it has read what there was
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, fs.ErrClosed) {
				t.Error(err)
			}
		case <-time.After(2 * time.Second):
			t.Error("two seconds after Close, Read still waits")
			if k, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
				unix.Write(k, []byte("end of a test\n")) // lets it end
				unix.Close(k)
			}
			<-ended
		}
	}
	t.Run("os", func(t *testing.T) { try(t, func() (file, error) { return os.Open(name) }) })
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		try(t, func() (file, error) { return d.Open(name) })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		try(t, func() (file, error) { return d.OpenFileContext(ctx, name, os.O_RDONLY, 0) })
	})
}

// A file without offsets says so, whatever the way.
func TestWriteAtOfAFileWithoutOffsetsIsBadDescriptor(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		const name = "/proc/self/limits"
		std, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer std.Close()
		_, want := std.WriteAt([]byte("x"), 1)
		f := open(t, d, name, os.O_RDONLY)
		f.SetDeadline(time.Now().Add(time.Hour))
		_, got := f.WriteAt([]byte("x"), 1)
		if why := differ(want, got, [2]string{}); why != "" {
			t.Error(why)
		}
	})
}
