package eddy_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// What a connection yields goes to a file in one piece and at the right place,
// whoever is asked to copy it, and what comes next goes behind it.
func TestCopyToFileIsIncomplete(t *testing.T) {
	const size = 3<<20 + 17
	content := pattern(size)
	kinds := map[string]struct {
		flag int
		copy func(f *eddy.File, c *eddy.Conn) (int64, error)
		want int // bytes of content
	}{
		"io.Copy":         {0, func(f *eddy.File, c *eddy.Conn) (int64, error) { return io.Copy(f, c) }, size},
		"WriteTo":         {0, func(f *eddy.File, c *eddy.Conn) (int64, error) { return c.WriteTo(f) }, size},
		"ReadFrom":        {0, func(f *eddy.File, c *eddy.Conn) (int64, error) { return f.ReadFrom(c) }, size},
		"io.CopyN":        {0, func(f *eddy.File, c *eddy.Conn) (int64, error) { return io.CopyN(f, c, 1<<20+1) }, 1<<20 + 1},
		"appending":       {os.O_APPEND, func(f *eddy.File, c *eddy.Conn) (int64, error) { return io.Copy(f, c) }, size},
		"with a deadline": {0, withDeadline, size},
	}
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		defer dropPipes(t)()
		for what, kind := range kinds {
			t.Run(what, func(t *testing.T) {
				client, server := connect(t, d, network)
				go func() {
					for rest := content; len(rest) > 0; {
						n := min(len(rest), 1+len(rest)%77_777)
						if _, err := client.Write(rest[:n]); err != nil {
							return // the copy below is short, or ended early on purpose
						}
						rest = rest[n:]
					}
					client.CloseWrite()
				}()
				name := tempFile(t, nil)
				f := open(t, d, name, os.O_RDWR|kind.flag)
				mustWrite(t, f, []byte("before"))
				n, err := kind.copy(f, server)
				if n != int64(kind.want) || err != nil {
					t.Fatalf("%d bytes, %v; want %d", n, err, kind.want)
				}
				mustWrite(t, f, []byte("after"))
				got, err := os.ReadFile(name)
				want := append(append([]byte("before"), content[:kind.want]...), "after"...)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v; the file has %d bytes, want %d; the first difference is at %d", err, len(got), len(want), difference(got, want))
				}
			})
		}
	})
}

func withDeadline(f *eddy.File, c *eddy.Conn) (int64, error) {
	if err := f.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	defer f.SetWriteDeadline(time.Time{})
	return io.Copy(f, c)
}

// difference is where two slices differ first.
func difference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// A copy to a file that cannot be written says so as os.File would, and one from a
// connection whose deadline passes keeps what has come.
func TestCopyToFileHidesItsError(t *testing.T) {
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		defer dropPipes(t)()
		ways := map[string]func(f *eddy.File, c *eddy.Conn) (int64, error){
			"WriteTo":  func(f *eddy.File, c *eddy.Conn) (int64, error) { return c.WriteTo(f) },
			"ReadFrom": func(f *eddy.File, c *eddy.Conn) (int64, error) { return f.ReadFrom(c) },
		}
		for what, way := range ways {
			t.Run(what, func(t *testing.T) {
				client, server := connect(t, d, network)
				mustWrite(t, client, []byte("x"))
				name := tempFile(t, nil)
				var failure *fs.PathError
				n, err := way(open(t, d, name, os.O_RDONLY), server)
				if n != 0 || !errors.As(err, &failure) || failure.Op != "write" || failure.Path != name {
					t.Errorf("to a file that is only read: %d, %v", n, err)
				}
				closed := open(t, d, name, os.O_WRONLY)
				closed.Close()
				mustWrite(t, client, []byte("y"))
				if n, err := way(closed, server); n != 0 || !errors.Is(err, fs.ErrClosed) || !errors.As(err, &failure) {
					t.Errorf("to a closed file: %d, %v", n, err)
				}

				mustWrite(t, client, []byte("z"))
				if err := server.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				n, err = way(open(t, d, name, os.O_WRONLY), server)
				wantTimeout(t, what, err)
				if got, err := os.ReadFile(name); int64(len(got)) != n || err != nil || !bytes.HasSuffix([]byte("xyz"), got) || n == 0 {
					t.Errorf("%d bytes, and the file has %q, %v", n, got, err)
				}
			})
		}
	})
}
