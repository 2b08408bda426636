package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/seccomptest"
)

// asRefused makes the command be one on a file system that has no modes or times to be set: it is the errno of chmod and
// utimensat. So is a filter, which takes no mount.
const asRefused = "EDDY_TEST_AS_REFUSED"

func init() {
	errno, err := strconv.Atoi(os.Getenv(asRefused))
	if err != nil {
		return
	}
	if err := seccomptest.Deny(syscall.Errno(errno), unix.SYS_FCHMODAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT2, unix.SYS_UTIMENSAT); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

// TestRefusedModeDiscardsCopy: the data is there, and a file system that cannot keep the rest is no reason to lose it.
func TestRefusedModeDiscardsCopy(t *testing.T) {
	if !seccomptest.Supported() {
		t.Skip("SKIPPED: no seccomp here")
	}
	src := makeDir(t, filepath.Join(t.TempDir(), "src"))
	write(t, filepath.Join(src, "file"), 10, 0o640)
	write(t, filepath.Join(makeDir(t, filepath.Join(src, "sub")), "below"), 11, 0o444)
	if err := os.Symlink("file", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	refused := func(errno syscall.Errno, args ...string) outcome {
		t.Helper()
		cmd := command(t, append([]string{"cp"}, args...)...)
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", asRefused, int(errno)))
		return finish(t, cmd)
	}
	complete := func(dst string) {
		t.Helper()
		wantNames(t, dst, "file", "link", "sub")
		wantNames(t, filepath.Join(dst, "sub"), "below")
		for name, size := range map[string]int64{"file": 10, "link": 10, "sub/below": 11} {
			if info, err := os.Stat(filepath.Join(dst, name)); err != nil || info.Size() != size {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
	}
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EOPNOTSUPP} {
		for _, args := range [][]string{nil, {"--preserve=none"}} {
			dst := filepath.Join(t.TempDir(), "dst")
			if o := refused(errno, append(args, src, dst)...); o.code != 0 || o.stderr != "" {
				t.Errorf("%v, %q: exit code %d: %s", errno, args, o.code, o.stderr)
			}
			complete(dst)
		}
		for _, flag := range []string{"--preserve=mode", "--preserve=times", "--preserve=mode,times"} {
			dst := filepath.Join(t.TempDir(), "dst")
			o := refused(errno, flag, src, dst)
			if o.code != exitFailure || strings.Contains(o.stderr, "cannot copy") || strings.Contains(o.stderr, ".eddy-") {
				t.Errorf("%v, %s: exit code %d: %s", errno, flag, o.code, o.stderr)
			}
			wantText(t, o.stderr, "src/file", "src/sub/below", "copied, but not with its mode and times", errno.Error())
			complete(dst)
		}
	}
	// Anything else is about the file, and not about what its file system can keep.
	dst := filepath.Join(t.TempDir(), "dst")
	if o := refused(syscall.EIO, filepath.Join(src, "file"), dst); o.code != exitFailure {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	wantNames(t, filepath.Dir(dst))
}

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
