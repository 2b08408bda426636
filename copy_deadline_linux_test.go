package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// The fast ways to copy are os.File's, which knows nothing of our deadlines.
func TestCopyIgnoresDeadlines(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		content := pattern(3 * 4096)
		past := time.Now().Add(-time.Second)
		name := tempFile(t, content)
		read := func() *eddy.File {
			f := open(t, d, name, os.O_RDONLY)
			f.SetReadDeadline(past)
			return f
		}
		write := func(flag int) *eddy.File {
			f := open(t, d, filepath.Join(t.TempDir(), "to"), os.O_RDWR|os.O_CREATE|flag)
			f.SetDeadline(past)
			return f
		}
		client, server := connect(t, d, "tcp")
		received := func() *eddy.Conn {
			mustWrite(t, client, []byte("x"))
			return server
		}
		for what, copies := range map[string]func() (int64, error){
			"File to File, write deadline": func() (int64, error) {
				return io.Copy(write(0), open(t, d, name, os.O_RDONLY))
			},
			"File to File, read deadline": func() (int64, error) {
				return io.Copy(open(t, d, tempFile(t, nil), os.O_WRONLY), read())
			},
			"File.ReadFrom File, read deadline": func() (int64, error) {
				return open(t, d, tempFile(t, nil), os.O_WRONLY).ReadFrom(read())
			},
			"File.ReadFrom part of a File, read deadline": func() (int64, error) {
				return open(t, d, tempFile(t, nil), os.O_WRONLY).ReadFrom(io.LimitReader(read(), 10))
			},
			"O_DIRECT ReadFrom": func() (int64, error) {
				return write(syscall.O_DIRECT).ReadFrom(bytes.NewReader(aligned(4096)))
			},
			"O_DIRECT WriteTo":       func() (int64, error) { return write(syscall.O_DIRECT).WriteTo(io.Discard) },
			"Conn.ReadFrom File":     func() (int64, error) { return client.ReadFrom(read()) },
			"File to Conn":           func() (int64, error) { return io.Copy(client, read()) },
			"part of a File to Conn": func() (int64, error) { return io.CopyN(client, read(), 10) },
			"Conn to File":           func() (int64, error) { return io.Copy(write(0), received()) },
			"File.ReadFrom Conn":     func() (int64, error) { return write(0).ReadFrom(received()) },
		} {
			if n, err := copies(); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %d, %v, want os.ErrDeadlineExceeded", what, n, err)
			}
		}
	})
}

func TestCopyIgnoresShutdown(t *testing.T) {
	eachSetting(t, func(t *testing.T, cfg eddy.Config) {
		d, other := newDriver(t, cfg), newDriver(t, cfg)
		f := open(t, other, tempFile(t, pattern(100)), os.O_RDWR)
		shutdown(t, other)
		client, _ := connect(t, d, "tcp")
		if n, err := client.ReadFrom(f); n != 0 || !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("Conn.ReadFrom of a File whose driver was shut down: %d, %v", n, err)
		}
		to := open(t, d, tempFile(t, nil), os.O_RDWR)
		if n, err := to.ReadFrom(io.LimitReader(f, 10)); n != 0 || !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("File.ReadFrom of a File whose driver was shut down: %d, %v", n, err)
		}
	})
}

// A limited copy takes the fast way, and leaves limit and offset where they
// belong.
func TestLimitedCopyLosesCount(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		content := pattern(10000)
		from := open(t, d, tempFile(t, content), os.O_RDONLY)
		to := open(t, d, tempFile(t, nil), os.O_RDWR)
		part := &io.LimitedReader{R: from, N: 4000}
		if n, err := to.ReadFrom(part); n != 4000 || err != nil || part.N != 0 {
			t.Errorf("copied %d, %v; %d are left", n, err, part.N)
		}
		part.N = 20000
		if n, err := to.ReadFrom(part); n != 6000 || err != nil || part.N != 14000 {
			t.Errorf("copied %d, %v; %d are left", n, err, part.N)
		}
		if got, err := os.ReadFile(to.Name()); !bytes.Equal(got, content) {
			t.Errorf("the copy is not the file: %d bytes, %v", len(got), err)
		}
	})
}

// A file that is being sent is not read from by others, whose bytes would be
// missing from the middle.
func TestReadTakesBytesFromAFileBeingSent(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		const size = 24 << 20 // more than sockets buffer
		f := open(t, d, tempFile(t, make([]byte, size)), os.O_RDONLY)
		client, server := connect(t, d, "tcp")
		sent := make(chan int64, 1)
		go func() {
			n, err := client.ReadFrom(f)
			if err != nil {
				t.Error(err)
			}
			client.CloseWrite()
			sent <- n
		}()
		mustRead(t, server, "\x00") // it has begun
		read := make(chan error, 1)
		go func() {
			n, err := f.Read(make([]byte, 4096))
			if n != 0 {
				err = errors.New("there were bytes left to read")
			}
			read <- err
		}()
		time.Sleep(20 * time.Millisecond)
		got, err := io.Copy(io.Discard, server)
		if n := <-sent; n != size || got != size-1 || err != nil {
			t.Errorf("of %d bytes, %d were sent and %d received, %v", size, n, got+1, err)
		}
		if err := <-read; err != io.EOF {
			t.Errorf("a read during that: %v, want io.EOF", err)
		}
	})
}

func TestWriteAtInAppendModeIsNotStdsError(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, nil)
		std, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer std.Close()
		_, want := std.WriteAt([]byte("x"), 0)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		withContext, err := d.OpenFileContext(ctx, name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer withContext.Close()
		for _, f := range []*eddy.File{open(t, d, name, os.O_APPEND|os.O_WRONLY), withContext} {
			if n, got := f.WriteAt([]byte("x"), 0); n != 0 || chain(got) != chain(want) {
				t.Errorf("%d, %s; want %s", n, chain(got), chain(want))
			}
		}
	})
}
