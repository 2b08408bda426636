package fusetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy/internal/leaktest"
	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// fileSize is the size of every file, and its byte at i is content(i).
const fileSize = 1 << 20

func content(i int64) byte { return byte(i ^ i>>8 ^ i>>16) }

// filesystem is a directory with files of which each can be made to hang.
type filesystem struct {
	fs.Inode
	dir   string
	files map[string]*file

	kept bool // somebody keeps a file open for good, on purpose
}

// file answers each read, write, fsync and flush at once, or not before it is
// released.
type file struct {
	fs.Inode
	direct bool // past the page cache

	mu      sync.Mutex
	gate    chan struct{} // closed: answer
	flushes bool          // flushes hang, too

	hung    atomic.Int32 // requests that hang now
	flushed atomic.Int32
}

var (
	_ fs.NodeOnAdder   = (*filesystem)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeFlusher   = (*file)(nil)
)

func (s *filesystem) OnAdd(ctx context.Context) {
	for name, f := range s.files {
		s.AddChild(name, s.NewPersistentInode(ctx, f, fs.StableAttr{Mode: fuse.S_IFREG}), true)
	}
}

// hang makes everything that comes from now on wait.
func (f *file) hang() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = make(chan struct{})
}

// release answers what waits and all that comes.
func (f *file) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flushes = false
	select {
	case <-f.gate:
	default:
		close(f.gate)
	}
}

func (f *file) wait() {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	f.hung.Add(1)
	<-gate
	f.hung.Add(-1)
}

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, fileSize
	return 0
}

func (f *file) Setattr(_ context.Context, _ fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = 0o600, fileSize
	return 0
}

func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if f.direct {
		return nil, fuse.FOPEN_DIRECT_IO, 0
	}
	return nil, 0, 0
}

func (f *file) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	f.wait()
	n := max(0, min(int64(len(dest)), fileSize-off))
	for i := range n {
		dest[i] = content(off + i)
	}
	return fuse.ReadResultData(dest[:n]), 0
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, _ int64) (uint32, syscall.Errno) {
	f.wait()
	return uint32(len(data)), 0
}

func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	f.wait()
	return 0
}

func (f *file) Flush(context.Context, fs.FileHandle) syscall.Errno {
	f.mu.Lock()
	hangs := f.flushes
	f.mu.Unlock()
	if hangs {
		f.wait()
	}
	f.flushed.Add(1)
	return 0
}

// mount serves a file system until the test ends. A watchdog aborts the
// connection of a test that hangs: then every request fails, and everybody who
// waits in the kernel comes back.
func mount(t *testing.T) *filesystem {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	s := &filesystem{dir: t.TempDir(), files: map[string]*file{}}
	for _, name := range []string{"direct", "cached", "healthy"} {
		f := &file{direct: name != "cached", gate: make(chan struct{})}
		close(f.gate)
		s.files[name] = f
	}
	before := connections()
	server, err := fs.Mount(s.dir, s, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: os.Getuid() == 0, MaxBackground: 512, DisableSplice: true}})
	if err != nil {
		t.Skipf("SKIPPED: FUSE cannot be mounted: %v", err)
	}
	abort := abortion(s.dir)
	watchdog := time.AfterFunc(20*time.Second, func() {
		fmt.Fprintf(os.Stderr, "%s hangs: aborting the file system: %v\n", t.Name(), abort())
	})
	t.Cleanup(func() {
		for _, f := range s.files {
			f.release()
		}
		// Lazily: files of a test that failed may still be open.
		if err := unix.Unmount(s.dir, unix.MNT_DETACH); err != nil {
			if err := server.Unmount(); err != nil {
				t.Errorf("unmount: %v", err)
			}
		}
		if s.kept {
			if err := abort(); err != nil && !errors.Is(err, os.ErrNotExist) { // it has gone already
				t.Errorf("abort: %v", err)
			}
		}
		ended := make(chan struct{})
		go func() { server.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("the file system is still in use: aborting it: %v", abort())
			<-ended
		}
		watchdog.Stop()
		// go-fuse closes its descriptor a little later than it says.
		until(t, "the connection is closed", func() bool { return connections() <= before })
	})
	return s
}

// connections counts the file systems that this process serves.
func connections() (n int) {
	for _, link := range leaktest.Fds() {
		if link == "/dev/fuse" {
			n++
		}
	}
	return n
}

// abortion makes every request of the file system at dir fail, now and for
// ever. It has to be made while the file system answers.
func abortion(dir string) func() error {
	var stat unix.Stat_t
	err := unix.Stat(dir, &stat)
	return func() error {
		if err != nil {
			return err
		}
		const control = "/sys/fs/fuse/connections"
		name := filepath.Join(control, fmt.Sprint(unix.Minor(stat.Dev)), "abort")
		if _, err := os.Stat(name); err != nil {
			_ = unix.Mount("fusectl", control, "fusectl", 0, "") // usually mounted by the system
		}
		return os.WriteFile(name, []byte("1"), 0)
	}
}

func (s *filesystem) path(name string) string { return filepath.Join(s.dir, name) }

// awaitHung waits until n operations on the file hang, or until it gets no more.
// Linux 6.18 now and then leaves requests that it has queued for its workers where
// they are, though some workers are idle, until one that hangs comes back.
func (f *file) awaitHung(t testing.TB, n int) {
	t.Helper()
	hung, since := 0, time.Now()
	until(t, fmt.Sprintf("%d operations hang", n), func() bool {
		if now := int(f.hung.Load()); now != hung {
			hung, since = now, time.Now()
		}
		return hung >= n || hung > 0 && time.Since(since) > 3*time.Second
	})
	if hung < n {
		t.Logf("only %d of %d operations hang: the kernel has not begun the others", hung, n)
	}
}

// until waits for a condition that has to come about.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
	}
}
