package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a memory file system of size bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED: mounting a small disk takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("the small disk is still in use: %v", err)
		}
	})
	return dir
}

func TestFullDiskLeavesHalfFile(t *testing.T) {
	src := makeDir(t, filepath.Join(t.TempDir(), "src"))
	write(t, filepath.Join(src, "big"), 32<<20, 0o644)
	write(t, filepath.Join(src, "small"), 10, 0o644)
	for _, backend := range []string{"auto", "uring", "epoll", "portable"} {
		t.Run(backend, func(t *testing.T) {
			disk := smallDisk(t, "8M")
			if err := os.WriteFile(filepath.Join(disk, "big"), []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			o := eddyCommand(t, 1, "cp", "--backend="+backend, filepath.Join(src, "big"), disk)
			wantText(t, o.stderr, `src/big"`, "no space left on device")
			wantNames(t, disk, "big")
			if data, err := os.ReadFile(filepath.Join(disk, "big")); string(data) != "old" {
				t.Errorf("the old file holds %d bytes, %v", len(data), err)
			}
			eddyCommand(t, 0, "cp", "--backend="+backend, filepath.Join(src, "small"), disk)
			wantNames(t, disk, "big", "small")
		})
	}
}

// TestFileOfProcIsEmpty: its size is given as 0, its contents are not.
func TestFileOfProcIsEmpty(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "version")
	eddyCommand(t, 0, "cp", "/proc/version", dst)
	want, err := os.ReadFile("/proc/version")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dst); string(got) != string(want) {
		t.Errorf("the copy holds %q, %v", got, err)
	}
}

// TestFileOfSysIsCutOff: its size is given as a page, its contents are shorter. A copy cannot tell that from a file
// that is being rewritten.
func TestFileOfSysIsCutOff(t *testing.T) {
	const src = "/sys/devices/system/cpu/online"
	if info, err := os.Stat(src); err != nil || info.Size() != 4096 {
		t.Skipf("SKIPPED: no %s with a size of 4096: %v", src, err)
	}
	dir := t.TempDir()
	wantText(t, eddyCommand(t, 1, "cp", src, filepath.Join(dir, "dst")).stderr, "source ends after", "4096")
	wantNames(t, dir)
}
