package filebench

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cached counts the blocks of the file at path that are in the page cache, without bringing any there. mincore(2).
func cached(t *testing.T, path string, blocks int) (n int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	memory, err := unix.Mmap(int(f.Fd()), 0, blocks*BlockSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	}()
	pages := make([]byte, blocks)
	// SAFETY: the kernel writes a byte for each page of memory to pages, which is ours, during the call only.
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&memory[0])), uintptr(len(memory)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, page := range pages {
		n += int(page & 1)
	}
	return n
}

// TestSecondSideFindsFileCached: each measurement has to begin with the same cache, whoever was before it.
func TestSecondSideFindsFileCached(t *testing.T) {
	const blocks = 256
	path := filepath.Join(t.TempDir(), "file")
	if os.Getpagesize() != BlockSize {
		t.Skipf("SKIPPED: pages of %d bytes", os.Getpagesize())
	}
	if d, err := disk(filepath.Dir(path)); err != nil || d.Memory {
		t.Skipf("SKIPPED: %s is not on a disk: %v", path, err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := writeBlocks(t.Context(), f, blocks*BlockSize); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, write := range []bool{false, true} {
		file, err := UseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p := scripted(t, new([]string))
		p.File, p.Work.Write, p.Cold = file, write, true
		run := p.Run
		p.Run = func(ctx context.Context, w Work, procs int) (Sample, error) {
			if n := cached(t, path, blocks); n > 0 {
				t.Errorf("writing: %v: %s begins with %d of %d blocks in the cache", write, w.Side, n, blocks)
			}
			if write {
				if _, err := f.WriteAt(make([]byte, blocks*BlockSize), 0); err != nil {
					t.Error(err)
				}
			}
			if err := file.Warm(ctx); err != nil {
				t.Error(err)
			}
			if n := cached(t, path, blocks); n != blocks {
				t.Errorf("%d of %d blocks are in the cache after all were read", n, blocks)
			}
			return run(ctx, w, procs)
		}
		if _, err := p.Execute(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
