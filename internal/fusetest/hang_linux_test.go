package fusetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/eddyio/eddy/poll"
)

// patience is how soon after the end a caller has to be back.
const patience = 50 * time.Millisecond

var settings = []struct {
	name, backend string
	cfg           eddy.Config
}{
	{"uring-shared", "uring", eddy.Config{Backend: eddy.BackendURing, Submit: driver.SubmitShared}},
	{"uring-thread", "uring", eddy.Config{Backend: eddy.BackendURing, Submit: driver.SubmitThread}},
	{"auto", "auto", eddy.Config{}},
	{"epoll", "epoll", eddy.Config{Backend: eddy.BackendEpoll}},
	{"portable", "portable", eddy.Config{Backend: eddy.BackendPortable}},
}

func eachBackend(t *testing.T, test func(t *testing.T, s *filesystem, d *eddy.Driver)) {
	t.Helper()
	only := os.Getenv("EDDY_BACKEND")
	for _, c := range settings {
		if only != "" && only != c.backend {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			s := mount(t)
			d, err := eddy.New(c.cfg)
			if errors.Is(err, driver.ErrNoRing) && only == "" {
				t.Skipf("SKIPPED: no io_uring here: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			test(t, s, d)
		})
	}
}

// settled waits until nothing is left of what was abandoned.
func settled(t *testing.T, d *eddy.Driver) {
	t.Helper()
	until(t, "all buffers and rings are given back", func() bool {
		m := d.Metrics()
		return m.Leases == 0 && m.Driver.InFlight == 0 && m.Driver.Strays == 0
	})
}

func shutdown(t *testing.T, d *eddy.Driver) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func open(t *testing.T, d *eddy.Driver, name string) *eddy.File {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// canaries is a buffer that nobody is to write to.
func canaries(n int) []byte { return bytes.Repeat([]byte{0xa5}, n) }

func touched(p []byte) bool { return bytes.Count(p, []byte{0xa5}) != len(p) }

// call is an operation that hangs, and the error that its end is to have.
type call struct {
	name string
	want error
	// do returns what the operation did, and the moment its end came: after a while.
	do doing
}

type doing func(f *eddy.File, p []byte, after time.Duration) (func() time.Time, error)

// ender ends a context after a while and remembers when.
func ender(after time.Duration) (context.Context, func() time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var at time.Time
	time.AfterFunc(after, func() {
		mu.Lock()
		at = time.Now()
		mu.Unlock()
		cancel()
	})
	return ctx, func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
}

func withCancel(operation func(context.Context, *eddy.File, []byte) error) doing {
	return func(f *eddy.File, p []byte, after time.Duration) (func() time.Time, error) {
		ctx, at := ender(after)
		return at, operation(ctx, f, p)
	}
}

func withTimeout(operation func(context.Context, *eddy.File, []byte) error) doing {
	return func(f *eddy.File, p []byte, after time.Duration) (func() time.Time, error) {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		defer cancel()
		at, _ := ctx.Deadline()
		err := operation(ctx, f, p)
		return func() time.Time { return at }, err
	}
}

// withDeadline sets the deadline far away and moves it near while the operation
// is under way.
func withDeadline(operation func(context.Context, *eddy.File, []byte) error) doing {
	return func(f *eddy.File, p []byte, after time.Duration) (func() time.Time, error) {
		if err := f.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			return time.Now, err
		}
		at := time.Now().Add(after)
		time.AfterFunc(after/2, func() { _ = f.SetDeadline(at) })
		err := operation(context.Background(), f, p)
		return func() time.Time { return at }, errors.Join(err, f.SetDeadline(time.Time{}))
	}
}

func readAt(ctx context.Context, f *eddy.File, p []byte) error {
	n, err := f.ReadAtContext(ctx, p, 4096)
	if n != 0 {
		return errors.Join(err, errors.New("bytes were counted"))
	}
	return err
}

func readBatch(ctx context.Context, f *eddy.File, p []byte) error {
	const parts = 8
	size := len(p) / parts
	reads := make([]eddy.BatchRead, parts)
	for i := range reads {
		reads[i] = eddy.BatchRead{Buf: p[i*size : (i+1)*size], Off: int64(i * size)}
	}
	err := f.ReadBatch(ctx, reads)
	for _, r := range reads {
		if r.N != 0 || r.Err == nil {
			return errors.Join(err, errors.New("a read of the batch has ended"))
		}
	}
	return err
}

func read(_ context.Context, f *eddy.File, p []byte) error {
	_, err := f.Read(p)
	return err
}

func writeAt(ctx context.Context, f *eddy.File, p []byte) error {
	_, err := f.WriteAtContext(ctx, p, 4096)
	return err
}

func writeBatch(ctx context.Context, f *eddy.File, p []byte) error {
	const parts = 8
	size := len(p) / parts
	writes := make([]eddy.BatchWrite, parts)
	for i := range writes {
		writes[i] = eddy.BatchWrite{Buf: p[i*size : (i+1)*size], Off: int64(i * size)}
	}
	err := f.WriteBatch(ctx, writes)
	for _, w := range writes {
		if w.N != 0 || w.Err == nil {
			return errors.Join(err, errors.New("a write of the batch has ended"))
		}
	}
	return err
}

func syncFile(ctx context.Context, f *eddy.File, _ []byte) error { return f.SyncContext(ctx) }

var calls = []call{
	{"ReadAtContext cancelled", context.Canceled, withCancel(readAt)},
	{"ReadAtContext timed out", context.DeadlineExceeded, withTimeout(readAt)},
	{"ReadAt under a deadline", os.ErrDeadlineExceeded, withDeadline(readAt)},
	{"Read under a deadline", os.ErrDeadlineExceeded, withDeadline(read)},
	{"ReadBatch cancelled", context.Canceled, withCancel(readBatch)},
	{"ReadBatch timed out", context.DeadlineExceeded, withTimeout(readBatch)},
	{"ReadBatch under a deadline", os.ErrDeadlineExceeded, withDeadline(readBatch)},
	{"SyncContext cancelled", context.Canceled, withCancel(syncFile)},
	{"SyncContext timed out", context.DeadlineExceeded, withTimeout(syncFile)},
	{"Sync under a deadline", os.ErrDeadlineExceeded, withDeadline(syncFile)},
	{"WriteAtContext cancelled", context.Canceled, withCancel(writeAt)},
	{"WriteAtContext timed out", context.DeadlineExceeded, withTimeout(writeAt)},
	{"WriteAt under a deadline", os.ErrDeadlineExceeded, withDeadline(writeAt)},
	{"WriteBatch cancelled", context.Canceled, withCancel(writeBatch)},
	{"WriteBatch timed out", context.DeadlineExceeded, withTimeout(writeBatch)},
	{"WriteBatch under a deadline", os.ErrDeadlineExceeded, withDeadline(writeBatch)},
}

// The caller is back soon after the end, its buffer is its own from then on, and
// when the file system answers nothing is left.
func TestCallerIsHeldByAHungFileSystem(t *testing.T) {
	eachBackend(t, func(t *testing.T, s *filesystem, d *eddy.Driver) {
		for _, name := range []string{"direct", "cached"} {
			for _, c := range calls {
				if name == "cached" && c.name[:5] == "Write" {
					continue // the page cache takes it at once
				}
				t.Run(name+"/"+c.name, func(t *testing.T) { abandon(t, s, d, name, c) })
			}
		}
		shutdown(t, d)
	})
}

func abandon(t *testing.T, s *filesystem, d *eddy.Driver, name string, c call) {
	node := s.files[name]
	f := open(t, d, s.path(name))
	p := canaries(64 << 10)
	late, hung := time.Hour, false
	after := 30 * time.Millisecond
	// The machine may be busy with other things: then the end comes before the
	// operation hangs, or the caller is back late.
	for try := 0; try < 5 && (late > patience || !hung); try++ {
		node.hang()
		at, err := c.do(f, p, after)
		late = time.Since(at())
		if !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
		if hung = node.hung.Load() != 0; !hung {
			after *= 3
		}
		if touched(p) {
			t.Error("the buffer was touched")
		}
		time.Sleep(10 * time.Millisecond)
		node.release()
		settled(t, d)
		if touched(p) {
			t.Error("the buffer was touched when the file system answered")
		}
	}
	if !hung {
		t.Error("nothing hangs: this was no test")
	}
	if late > patience {
		t.Errorf("the caller was back %v after the end", late)
	}
	// The file is as good as new.
	n, err := f.ReadAt(p[:100], 5000)
	if n != 100 || err != nil || p[0] != content(5000) || p[99] != content(5099) {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// However many reads hang, files of other file systems, and even of the same one
// if they are few, are read meanwhile.
func TestHungReadsWedgeHealthyFiles(t *testing.T) {
	for _, hung := range []int{8, 64} {
		t.Run(map[int]string{8: "8", 64: "64"}[hung], func(t *testing.T) {
			eachBackend(t, func(t *testing.T, s *filesystem, d *eddy.Driver) {
				s.files["direct"].hang()
				sick := open(t, d, s.path("direct"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var wg sync.WaitGroup
				for i := range hung {
					wg.Go(func() {
						if n, err := sick.ReadAtContext(ctx, make([]byte, 4096), int64(i)*4096); n != 0 || !errors.Is(err, context.Canceled) {
							t.Errorf("a hung read: %d, %v", n, err)
						}
					})
				}
				s.files["direct"].awaitHung(t, hung)
				healthy(t, d, t.TempDir(), s, hung < 64)
				cancel()
				wg.Wait()
				// Abandoned, but still with the kernel: no difference.
				healthy(t, d, t.TempDir(), s, hung < 64)
				s.files["direct"].release()
				settled(t, d)
				healthy(t, d, t.TempDir(), s, true)
				sick.Close()
				shutdown(t, d)
			})
		})
	}
}

// healthy reads and writes files that have nothing to do with what hangs.
func healthy(t *testing.T, d *eddy.Driver, dir string, s *filesystem, same bool) {
	t.Helper()
	data := make([]byte, 64<<10)
	for i := range data {
		data[i] = content(int64(i))
	}
	name := dir + "/healthy"
	if err := d.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string]int{name: os.O_RDWR}
	if probe, err := os.OpenFile(name, os.O_RDWR|unix.O_DIRECT, 0); err == nil {
		probe.Close()
		files[name] |= unix.O_DIRECT
	}
	if same {
		files[s.path("healthy")] = os.O_RDWR
	}
	for name, flag := range files {
		f, err := d.OpenFile(name, flag, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, cancelable := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			if !cancelable {
				cancel()
				ctx, cancel = context.Background(), func() {}
			}
			page := pageAligned(4096)
			for i := range 8 {
				n, err := f.ReadAtContext(ctx, page, int64(i)*4096)
				if n != 4096 || err != nil || page[1] != content(int64(i)*4096+1) {
					t.Errorf("%s, cancelable %v: %d, %v", name, cancelable, n, err)
				}
			}
			reads := []eddy.BatchRead{{Buf: page}, {Buf: pageAligned(4096), Off: 8192}}
			if err := f.ReadBatch(ctx, reads); err != nil {
				t.Errorf("%s, cancelable %v: batch: %v", name, cancelable, err)
			}
			cancel()
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// pageAligned is memory that O_DIRECT takes.
func pageAligned(size int) []byte {
	p := make([]byte, size+4096)
	for !aligned(p) {
		p = p[1:]
	}
	return p[:size:size]
}

// Close lets those go who can leave, at once, and the descriptor when the file
// system has answered. A flush that hangs then holds up nobody.
func TestCloseOfAHungFileWedgesTheDriver(t *testing.T) {
	eachBackend(t, func(t *testing.T, s *filesystem, d *eddy.Driver) {
		node := s.files["direct"]
		node.hang()
		f := open(t, d, s.path("direct"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				p := canaries(4096)
				if _, err := f.ReadAtContext(ctx, p, 0); !errors.Is(err, fs.ErrClosed) || touched(p) {
					t.Errorf("a read under Close: %v", err)
				}
			})
		}
		node.awaitHung(t, 6)
		closed := time.Now()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if late := time.Since(closed); late > 20*patience {
			t.Errorf("the readers were back %v after Close", late)
		}
		// Now the reads are answered, and the flush hangs in their place.
		node.mu.Lock()
		old := node.gate
		node.gate, node.flushes = make(chan struct{}), true
		node.mu.Unlock()
		close(old)
		settled(t, d)
		until(t, "the flush hangs", func() bool { return node.hung.Load() == 1 })
		healthy(t, d, t.TempDir(), s, true)
		if node.flushed.Load() != 0 {
			t.Error("the flush was answered")
		}
		node.release()
		until(t, "the file is closed", func() bool { return node.flushed.Load() == 1 })
		shutdown(t, d)
	})
}

// A shutdown takes as long as its context lets it, says what it left behind, and
// lets everybody else go at once.
func TestShutdownHangsOrKeepsQuiet(t *testing.T) {
	for _, wait := range []time.Duration{0, 100 * time.Millisecond} { // a hold is left, or not yet
		t.Run(wait.String(), func(t *testing.T) {
			for _, c := range settings {
				t.Run(c.name, func(t *testing.T) {
					s := mount(t) // no leak check: what is left behind is left for ever
					s.kept = true
					d, err := eddy.New(c.cfg)
					if err != nil {
						t.Skipf("SKIPPED: %v", err)
					}
					shutdownHung(t, s, d, wait)
				})
			}
		})
	}
}

func shutdownHung(t *testing.T, s *filesystem, d *eddy.Driver, wait time.Duration) {
	node := s.files["direct"]
	node.hang()
	f := open(t, d, s.path("direct"))
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	r, err := d.Register(fds[0], poll.Readable)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type end struct {
		what string
		err  error
		at   time.Time
	}
	ends := make(chan end, 2)
	p := canaries(4096)
	go func() { _, err := f.ReadAtContext(ctx, p, 0); ends <- end{"the read", err, time.Now()} }()
	go func() { _, err := r.Ready(ctx, poll.Readable); ends <- end{"Ready", err, time.Now()} }()
	until(t, "the read hangs", func() bool { return node.hung.Load() == 1 })
	time.Sleep(wait)

	const grace = 400 * time.Millisecond
	short, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	begun := time.Now()
	err = d.Shutdown(short)
	took := time.Since(begun)
	var stuck *eddy.ShutdownError
	switch {
	case !errors.As(err, &stuck):
		t.Errorf("after %v: %v, want a ShutdownError", took, err)
	case len(stuck.Stuck) != 1 || stuck.Stuck[0].Op != "read" || stuck.Stuck[0].Name != s.path("direct"):
		t.Errorf("stuck: %+v", stuck.Stuck)
	case !errors.Is(err, context.DeadlineExceeded):
		t.Errorf("the cause is missing: %v", err)
	}
	if took > grace+10*patience {
		t.Errorf("it took %v", took)
	}
	for range cap(ends) {
		select {
		case e := <-ends:
			if !errors.Is(e.err, eddy.ErrShutdown) {
				t.Errorf("%s: %v", e.what, e.err)
			}
			if late := e.at.Sub(begun); late > grace/2 {
				t.Errorf("%s was let go only after %v", e.what, late)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("somebody is held for ever")
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	node.release()
	time.Sleep(20 * time.Millisecond)
	if touched(p) {
		t.Error("the buffer was touched after the shutdown")
	}
}
