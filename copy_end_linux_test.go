package eddy_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

type copiedFile interface {
	io.ReadWriteCloser
	io.ReaderFrom
}

// As with os: what arrives after Close is not written to a closed file, and the
// copy ends with os.ErrClosed.
func TestCopyGoesOnWritingToAClosedFile(t *testing.T) {
	defer dropPipes(t)()
	sources := map[string]func(t *testing.T, d *eddy.Driver) (io.WriteCloser, io.Reader){
		"eddy.Conn": func(t *testing.T, d *eddy.Driver) (io.WriteCloser, io.Reader) {
			client, server := connect(t, d, "tcp")
			return client, server
		},
		"net.Conn": func(t *testing.T, d *eddy.Driver) (io.WriteCloser, io.Reader) {
			client, server := stdWorld.connect(t, "tcp")
			return client, server
		},
		"a program's output": func(t *testing.T, d *eddy.Driver) (io.WriteCloser, io.Reader) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); w.Close() })
			return w, r
		},
		"io.Pipe": func(t *testing.T, d *eddy.Driver) (io.WriteCloser, io.Reader) {
			r, w := io.Pipe()
			return w, r
		},
	}
	for source, open := range sources {
		for _, which := range []string{"os", "eddy"} {
			t.Run(source+" to "+which, func(t *testing.T) {
				d := newDriver(t, eddy.Config{})
				in, out := open(t, d)
				name := filepath.Join(t.TempDir(), "f")
				f := create(t, d, which, name)
				copied := make(chan error, 1)
				go func() { _, err := io.Copy(f, out); copied <- err }()
				in.Write([]byte("before"))
				time.Sleep(50 * time.Millisecond)
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				in.Write([]byte("after"))
				var got error
				select {
				case got = <-copied:
				case <-time.After(500 * time.Millisecond):
					in.Close()
					got = <-copied
				}
				if !errors.Is(got, os.ErrClosed) {
					t.Errorf("the copy to a closed file ends with %v", got)
				}
				if data, _ := os.ReadFile(name); string(data) != "before" {
					t.Errorf("after Close the file became %q", data)
				}
			})
		}
	}
}

func create(t *testing.T, d *eddy.Driver, which, name string) copiedFile {
	t.Helper()
	if which == "os" {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f, err := d.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A copy that is under way when a deadline is set, or the driver shut down, ends.
func TestCopyUnderWayIgnoresDeadlineAndShutdown(t *testing.T) {
	defer dropPipes(t)()
	for what, end := range map[string]struct {
		do   func(d *eddy.Driver, f *eddy.File)
		want error
	}{
		"deadline": {func(_ *eddy.Driver, f *eddy.File) { f.SetWriteDeadline(time.Now().Add(-1)) }, os.ErrDeadlineExceeded},
		"shutdown": {func(d *eddy.Driver, f *eddy.File) { d.Shutdown(context.Background()) }, eddy.ErrShutdown},
	} {
		t.Run(what, func(t *testing.T) {
			d := newDriver(t, eddy.Config{})
			client, server := stdWorld.connect(t, "tcp")
			name := filepath.Join(t.TempDir(), "f")
			f, err := d.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			copied := make(chan error, 1)
			go func() { _, err := io.Copy(f, server); copied <- err }()
			client.Write([]byte("before"))
			time.Sleep(50 * time.Millisecond)
			end.do(d, f)
			client.Write([]byte("after"))
			var got error
			select {
			case got = <-copied:
			case <-time.After(500 * time.Millisecond):
				client.Close()
				got = <-copied
			}
			if !errors.Is(got, end.want) {
				t.Errorf("the copy ends with %v", got)
			}
			if data, _ := os.ReadFile(name); string(data) != "before" {
				t.Errorf("afterwards the file became %q", data)
			}
		})
	}
}
