package eddy_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// Read-only attributes of the kernel are refused to everybody, root included.
func TestPermissionErrorIsNotErrPermission(t *testing.T) {
	const name = "/sys/kernel/uevent_seqnum"
	if _, err := os.Stat(name); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, want := os.OpenFile(name, os.O_WRONLY, 0)
		_, err := d.OpenFile(name, os.O_WRONLY, 0)
		if why := differ(want, err, [2]string{}); why != "" || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v; %s", err, why)
		}
	})
}

// A misaligned O_DIRECT request is answered by the kernel, and as with os.File.
func TestMisalignedDirectReadIsNotEINVAL(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f, name := openDirect(t, d, pattern(64<<10))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p := aligned(8192)
		std, err := os.OpenFile(name, os.O_RDONLY|syscall.O_DIRECT, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer std.Close()
		if _, err := std.ReadAt(p, 77); err == nil {
			t.Skip("SKIPPED: the file system of the temporary directory, such as a tmpfs, takes any offset; set TMPDIR")
		}
		for what, call := range map[string]func() (int, error){
			"offset":                    func() (int, error) { return f.ReadAt(p, 77) },
			"length":                    func() (int, error) { return f.ReadAt(p[:4095], 0) },
			"offset, abandonable":       func() (int, error) { return f.ReadAtContext(ctx, p, 77) },
			"length, abandonable":       func() (int, error) { return f.ReadAtContext(ctx, p[:4095], 0) },
			"write offset":              func() (int, error) { return f.WriteAt(p, 77) },
			"write length":              func() (int, error) { return f.WriteAt(p[:4095], 0) },
			"write offset, abandonable": func() (int, error) { return f.WriteAtContext(ctx, p, 77) },
			"batch of writes": func() (int, error) {
				return 0, f.WriteBatch(ctx, []eddy.BatchWrite{{Buf: p[:4096]}, {Buf: p[4096:], Off: 77}})
			},
			"batch": func() (int, error) {
				return 0, f.ReadBatch(ctx, []eddy.BatchRead{{Buf: p[:4096]}, {Buf: p[4096:], Off: 77}})
			},
		} {
			var path *fs.PathError
			if n, err := call(); n != 0 || !errors.Is(err, syscall.EINVAL) || !errors.As(err, &path) {
				t.Errorf("%s: %d, %v", what, n, err)
			}
		}
	})
}

func TestDirectFileHasWrongContent(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		data := pattern(3<<20 + 4096)
		f, _ := openDirect(t, d, data)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, c := range []context.Context{context.Background(), ctx} {
			p := aligned(4 << 20)
			n, err := f.ReadAtContext(c, p, 0)
			if n != len(data) || string(p[:n]) != string(data) {
				t.Errorf("%d of %d bytes, %v, equal: %v", n, len(data), err, string(p[:n]) == string(data[:n]))
			}
			copy(p, data[4096:])
			if n, err := f.WriteAtContext(c, p[:2<<20], 0); n != 2<<20 || err != nil {
				t.Fatal(n, err)
			}
			q := aligned(2 << 20)
			if n, err := f.ReadAtContext(c, q, 0); n != 2<<20 || err != nil || string(q) != string(data[4096:4096+2<<20]) {
				t.Errorf("what was written is not what is read: %d, %v", n, err)
			}
			if n, err := f.WriteAt(alignedCopy(data[:2<<20]), 0); n != 2<<20 || err != nil {
				t.Fatal(n, err)
			}
		}
	})
}

// openDirect makes a file with this content and opens it past the page cache.
func openDirect(t testing.TB, d *eddy.Driver, content []byte) (*eddy.File, string) {
	t.Helper()
	name := tempFile(t, content)
	f, err := d.OpenFile(name, os.O_RDWR|syscall.O_DIRECT, 0)
	if errors.Is(err, syscall.EINVAL) {
		t.Skipf("SKIPPED: %s is on a file system without O_DIRECT; set TMPDIR", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, name
}

// mapped is memory that takes no space until it is touched, and starts at a
// page.
func mapped(t testing.TB, size int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Madvise(p, unix.MADV_HUGEPAGE) // only faster
	t.Cleanup(func() {
		if err := unix.Munmap(p); err != nil {
			t.Error(err)
		}
	})
	return p
}

// memoryDir is a directory on a file system in memory, where there is one:
// there a hole costs nothing to read.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "eddy")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// needMemory skips a test that would push the machine into swapping.
func needMemory(t *testing.T, bytes uint64) {
	t.Helper()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if free := uint64(info.Freeram) * uint64(info.Unit); free < bytes {
		t.Skipf("SKIPPED: %d MiB of memory free, %d wanted", free>>20, bytes>>20)
	}
}

func TestTimeIsNotLostOnAFileThatIsNoFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, name := range []string{"/dev/null", "/dev/zero"} {
			f := open(t, d, name, os.O_RDWR)
			std, err := os.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer std.Close()
			a, b := make([]byte, 10), make([]byte, 10)
			fillCanary(a)
			fillCanary(b)
			na, ea := std.Read(a)
			nb, eb := f.Read(b)
			if why := differ(ea, eb, [2]string{}); na != nb || why != "" || string(a) != string(b) {
				t.Errorf("Read of %s: %d and %d, %s", name, na, nb, why)
			}
			na, ea = std.Write(a)
			nb, eb = f.Write(b)
			if why := differ(ea, eb, [2]string{}); na != nb || why != "" {
				t.Errorf("Write of %s: %d and %d, %s", name, na, nb, why)
			}
			if why := differ(std.SetDeadline(time.Now()), f.SetDeadline(time.Now()), [2]string{}); why != "" {
				t.Errorf("SetDeadline of %s: %s", name, why)
			}
		}
	})
}

// A context that has ended counts for files without offsets, too.
func TestEndedContextIsIgnored(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for what, f := range map[string]*eddy.File{
			"regular file": open(t, d, tempFile(t, pattern(10000)), os.O_RDWR),
			"device":       open(t, d, "/dev/zero", os.O_RDWR),
		} {
			p := make([]byte, 4096)
			fillCanary(p)
			if n, err := f.ReadAtContext(ended, p, 0); n != 0 || !errors.Is(err, context.Canceled) || !isCanary(p) {
				t.Errorf("%s: ReadAtContext: %d, %v", what, n, err)
			}
			if n, err := f.WriteAtContext(ended, p, 0); n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: WriteAtContext: %d, %v", what, n, err)
			}
			if err := f.SyncContext(ended); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: SyncContext: %v", what, err)
			}
			if err := f.ReadBatch(ended, []eddy.BatchRead{{Buf: p}}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: ReadBatch: %v", what, err)
			}
		}
	})
}
