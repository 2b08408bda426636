package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// squatter keeps opening a file of its own, so that it gets every descriptor
// number that becomes free, and notices if anybody else closes or uses one of
// them.
func squatter(t *testing.T, stop chan struct{}) {
	name := tempFile(t, make([]byte, blockSize)) // a foreign block: not one has its number
	foreign := make([]byte, blockSize)
	makeBlock(foreign, 1<<40, 1)
	if err := os.WriteFile(name, foreign, 0o600); err != nil {
		t.Error(err)
		return
	}
	p := make([]byte, blockSize)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Errorf("squatter: %v", err)
			return
		}
		for range 3 {
			if _, err := unix.Pread(fd, p, 0); err != nil {
				t.Errorf("squatter: somebody has closed its descriptor: %v", err)
			} else if err := checkBlock(p, 1<<40); err != nil {
				t.Errorf("squatter: somebody has written to its descriptor: %v", err)
			}
			runtime.Gosched()
		}
		if err := unix.Close(fd); err != nil {
			t.Errorf("squatter: somebody has closed its descriptor: %v", err)
		}
	}
}

// Each read of a file that is closed under it gets its data or fs.ErrClosed;
// never the data of whoever has the descriptor's number next.
func TestCloseUnderReadsGivesThemAnotherFilesBytes(t *testing.T) {
	const readers, rounds = 100, 12
	for kind, flag := range map[string]int{"regular": 0, "direct": syscall.O_DIRECT} {
		t.Run(kind, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, d *eddy.Driver) {
				probe, name := openDirect(t, d, blocks(readers))
				probe.Close()
				stop := make(chan struct{})
				var others sync.WaitGroup
				others.Go(func() { squatter(t, stop) })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for round := range rounds {
					f := open(t, d, name, os.O_RDONLY|flag)
					closeUnderReads(t, f, ctx, readers, time.Duration(round)*100*time.Microsecond)
				}
				close(stop)
				others.Wait()
				if n := d.Metrics().Files; n != 0 {
					t.Errorf("%d files are open", n)
				}
			})
		})
	}
}

func closeUnderReads(t *testing.T, f *eddy.File, ctx context.Context, readers int, after time.Duration) {
	var wg sync.WaitGroup
	var done, closed atomic.Int32
	for k := range readers {
		wg.Go(func() {
			p := aligned(blockSize)
			for ; ; runtime.Gosched() { // a hundred that only compute would keep Close waiting
				var n int
				var err error
				switch k % 4 {
				case 0:
					n, err = f.ReadAt(p, int64(k)*blockSize)
				case 1:
					n, err = f.ReadAtContext(ctx, p, int64(k)*blockSize)
				default:
					reads := []eddy.BatchRead{{Buf: p, Off: int64(k) * blockSize}}
					err = f.ReadBatch(ctx, reads)
					n = reads[0].N
				}
				if err == nil {
					done.Add(1)
					if err := checkBlock(p[:n], uint64(k)); err != nil {
						t.Error(err)
					}
					continue
				}
				closed.Add(1)
				if !errors.Is(err, fs.ErrClosed) {
					t.Errorf("a read under Close: %v", err)
				}
				return
			}
		})
	}
	time.Sleep(after)
	if err := f.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
	within(t, 10*time.Second, "a read of a closed file", wg.Wait)
	if closed.Load() != int32(readers) {
		t.Errorf("%d of %d readers ended", closed.Load(), readers)
	}
}

// The descriptor outlives Close for as long as somebody uses it, and no longer.
func TestDescriptorIsClosedUnderItsUsers(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, tempFile(t, blocks(1)), os.O_RDONLY)
		conn, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var fd uintptr
		if err := conn.Control(func(n uintptr) { fd = n }); err != nil {
			t.Fatal(err)
		}
		blocked, proceed := make(chan struct{}), make(chan struct{})
		copied := make(chan error)
		go func() { // WriteTo uses the descriptor for as long as its writer likes
			_, err := f.WriteTo(writerFunc(func(p []byte) (int, error) {
				close(blocked)
				<-proceed
				return len(p), nil
			}))
			copied <- err
		}()
		<-blocked
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil {
			t.Errorf("closed while somebody was using it: %v", err)
		}
		close(proceed)
		if err := <-copied; err != nil {
			t.Errorf("the one who was using it: %v", err)
		}
		if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			t.Errorf("still open after its last user has left: %v", err)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

func makeFIFO(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCloseLeavesFIFOReadersHanging(t *testing.T) {
	const readers = 100
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, makeFIFO(t), os.O_RDWR)
		var wg sync.WaitGroup
		var started atomic.Int32
		got := make(chan error, readers)
		for range readers {
			wg.Go(func() {
				started.Add(1)
				p := make([]byte, 1)
				n, err := f.Read(p)
				if n == 1 {
					err = nil
				}
				got <- err
			})
		}
		for started.Load() < readers {
			runtime.Gosched()
		}
		if _, err := f.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		data := 0
		for range 3 {
			if err := <-got; err != nil {
				t.Fatal(err)
			}
			data++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		within(t, 10*time.Second, "a FIFO's reader", wg.Wait)
		for range readers - data {
			if err := <-got; !errors.Is(err, fs.ErrClosed) {
				t.Errorf("a reader: %v", err)
			}
		}
	})
}

func TestCloseReportsTwiceOrNever(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, nil)
		for range 200 {
			f := open(t, d, name, os.O_RDWR)
			var ok atomic.Int32
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if err := f.Close(); err == nil {
						ok.Add(1)
					} else if !errors.Is(err, fs.ErrClosed) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if ok.Load() != 1 {
				t.Fatalf("%d of 4 concurrent Close calls succeeded", ok.Load())
			}
		}
	})
}

// A file that is opened, read and forgotten does not stay open for ever.
func TestForgottenFileStaysOpen(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, pattern(100))
		before := len(descriptors())
		func() {
			for range 20 {
				f, err := d.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := f.ReadAt(make([]byte, 200), 0); n != 100 || err != io.EOF { //nolint:errorlint // bare
					t.Fatal(n, err)
				}
			}
		}()
		for try := 0; len(descriptors()) > before; try++ {
			if try == 200 {
				t.Fatalf("%d descriptors before, %d now", before, len(descriptors()))
			}
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	})
}

func ExampleFile_Close() {
	f, err := eddy.Open("/dev/null")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Close())
	fmt.Println(f.Close())
	// Output:
	// <nil>
	// close /dev/null: file already closed
}
