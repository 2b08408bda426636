//go:build unix

package main

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func blocks(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks
}

func TestHolesBecomeData(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src"), filepath.Join(dir, "dst")
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 64 << 20
	data := []byte(strings.Repeat("data", 1<<16))
	for _, off := range []int64{8 << 20, 20<<20 + 12345, size - 16<<20} {
		if _, err := f.WriteAt(data, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if blocks(t, src)*512 > size/4 {
		t.Skipf("SKIPPED: no sparse files on the file system of %s", dir)
	}
	empty := filepath.Join(dir, "empty") // only a hole
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(empty, size); err != nil {
		t.Fatal(err)
	}
	board := filepath.Join(dir, "board") // a block of data, a hole of the same size, and so on
	for block := range int64(64) {
		writeAt(t, board, data[:4096], block*8192)
	}
	eddyCommand(t, 0, "cp", board, board+"-copy")
	wantSameTree(t, board, board+"-copy")
	eddyCommand(t, 0, "cp", src, dst)
	eddyCommand(t, 0, "cp", empty, empty+"-copy")
	wantSameTree(t, src, dst)
	wantSameTree(t, empty, empty+"-copy")
	// A file system may allocate a little around what is written.
	if got, most := blocks(t, dst), blocks(t, src)+256; got > most {
		t.Errorf("the copy has %d blocks, want at most %d", got, most)
	}
	if got := blocks(t, empty+"-copy"); got > 16 {
		t.Errorf("the copy of a hole has %d blocks", got)
	}
}

func writeAt(t *testing.T, path string, data []byte, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, off); err != nil {
		t.Fatal(err)
	}
}

func TestSpecialFileHangsCopy(t *testing.T) {
	src, dst := makeDir(t, filepath.Join(t.TempDir(), "tree")), t.TempDir()
	write(t, filepath.Join(src, "file"), 10, 0o644)
	if err := syscall.Mkfifo(filepath.Join(src, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantText(t, eddyCommand(t, 1, "cp", src, dst).stderr, "fifo", "special files are not copied")
	wantText(t, eddyCommand(t, 1, "cp", os.DevNull, dst).stderr, "device")
	wantNames(t, filepath.Join(dst, "tree"), "file")
	wantNames(t, dst, "tree")
}

// TestDeviceIsReplacedByFile: "cp x /dev/null" by root must not turn the device into a file.
func TestDeviceIsReplacedByFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), 10, 0o644)
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fifo", link); err != nil {
		t.Fatal(err)
	}
	for _, dst := range []string{fifo, link} {
		wantText(t, eddyCommand(t, 1, "cp", filepath.Join(dir, "file"), dst).stderr, "not a regular file")
	}
	wantNames(t, dir, "fifo", "file", "link")
}

// TestUnreadableSourceStopsCopy runs the command as nobody, for root may read everything.
func TestUnreadableSourceStopsCopy(t *testing.T) {
	dir := t.TempDir()
	src, dst := makeDir(t, filepath.Join(dir, "src")), makeDir(t, filepath.Join(dir, "dst"))
	write(t, filepath.Join(src, "open"), 10, 0o644)
	write(t, filepath.Join(src, "secret"), 10, 0o000)
	closed := makeDir(t, filepath.Join(src, "readonly"))
	write(t, filepath.Join(closed, "file"), 3, 0o444)
	if err := os.Chmod(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.Chmod(closed, 0o755)
		os.Chmod(filepath.Join(dst, "src", "readonly"), 0o755)
	})
	cmd := command(t, "cp", src, dst)
	if os.Geteuid() == 0 {
		asNobody(t, cmd, dir, dst)
	}
	o := finish(t, cmd)
	if o.code != 1 {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	wantText(t, o.stderr, "secret", "permission denied")
	wantNames(t, filepath.Join(dst, "src"), "open", "readonly")
	wantSameTree(t, closed, filepath.Join(dst, "src", "readonly"))
}

// asNobody lets cmd run without root's rights, which takes a binary and directories that nobody can reach.
func asNobody(t *testing.T, cmd *exec.Cmd, dir, dst string) {
	t.Helper()
	const nobody = 65534
	binary := filepath.Join(dir, "eddy")
	in, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(binary, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dst, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Path = binary
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// TestInterruptedCopyLeavesHalfFile interrupts a copy as soon as its temporary file is there.
func TestInterruptedCopyLeavesHalfFile(t *testing.T) {
	src := filepath.Join(t.TempDir(), "big")
	write(t, src, 64<<20, 0o644)
	grow(t, src, 8)
	for name, c := range map[string]struct {
		signal syscall.Signal
		code   int
	}{"SIGINT": {syscall.SIGINT, 130}, "SIGTERM": {syscall.SIGTERM, 143}} {
		for _, backend := range []string{"auto", "portable"} {
			t.Run(name+" "+backend, func(t *testing.T) {
				dir := t.TempDir()
				dst := filepath.Join(dir, "dst")
				if err := os.WriteFile(dst, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := command(t, "cp", "--backend="+backend, src, dst)
				o := interruptAtWork(t, cmd, dir, c.signal)
				if o.code != c.code {
					t.Fatalf("exit code %d, want %d\n%s", o.code, c.code, o.stderr)
				}
				wantText(t, o.stderr, "interrupted", "0 files")
				wantNames(t, dir, "dst")
				if data, err := os.ReadFile(dst); string(data) != "old" {
					t.Errorf("the old file holds %d bytes, %v", len(data), err)
				}
			})
		}
	}
}

// TestIgnoredInterruptStopsCopy: what nohup or a shell has set to be ignored stays ignored.
func TestIgnoredInterruptStopsCopy(t *testing.T) {
	src := filepath.Join(t.TempDir(), "big")
	write(t, src, 64<<20, 0o644)
	dir := t.TempDir()
	cmd := command(t, "cp", src, filepath.Join(dir, "dst"))
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" INT; exec "$0" "$@"`, os.Args[0]}, cmd.Args[1:]...)
	if o := interruptAtWork(t, cmd, dir, syscall.SIGINT); o.code != 0 {
		t.Fatalf("exit code %d: %s", o.code, o.stderr)
	}
	wantSameTree(t, src, filepath.Join(dir, "dst"))
}

// grow makes the file at path as many times as long by repeating it.
func grow(t *testing.T, path string, times int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range times - 1 {
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
	}
}

// interruptAtWork starts cmd, waits for a temporary file in dir, and sends the signal.
func interruptAtWork(t *testing.T, cmd *exec.Cmd, dir string, signal syscall.Signal) outcome {
	t.Helper()
	stdout, stderr := buffers()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < commandTimeout; time.Sleep(time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(dir, ".*.eddy-*")); len(found) > 0 {
			break
		}
		if cmd.Process.Signal(syscall.Signal(0)) != nil {
			break
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	return finish(t, cmd)
}

// TestLaterContentsLoseToEarlier: laid over each other, the last source is what stays, in files, links and directories.
func TestLaterContentsLoseToEarlier(t *testing.T) {
	top := t.TempDir()
	base, overlay := makeDir(t, filepath.Join(top, "base")), makeDir(t, filepath.Join(top, "overlay"))
	const files = 60
	for i := range files {
		name := strconv.Itoa(i)
		write(t, filepath.Join(base, name), 3000+i, 0o600)
		write(t, filepath.Join(overlay, name), 200+i, 0o644)
	}
	write(t, filepath.Join(base, "big"), 8<<20, 0o600) // still being copied when the overlay's is done
	write(t, filepath.Join(overlay, "big"), 1, 0o644)
	write(t, filepath.Join(makeDir(t, filepath.Join(base, "sub")), "base"), 1, 0o644)
	write(t, filepath.Join(makeDir(t, filepath.Join(overlay, "sub")), "overlay"), 1, 0o644)
	for dir, mode := range map[string]fs.FileMode{base: 0o555, overlay: 0o750} {
		if err := os.Chmod(filepath.Join(dir, "sub"), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(dir, "sub"), 0o755) })
	}
	for _, sources := range [][]string{
		{base + "/.", overlay + "/."}, {base + "/.", filepath.Join(overlay, "big"), overlay + "/."},
		{filepath.Join(base, "big"), base + "/.", overlay + "/."}, {base + "/.", overlay + "/.", filepath.Join(overlay, "big")},
	} {
		dst := t.TempDir()
		eddyCommand(t, 0, append(append([]string{"cp"}, sources...), dst)...)
		want, got := describe(t, overlay), describe(t, dst)
		for name, w := range want {
			if name != "." && got[name] != w && (name != "sub" || got[name][:10] != w[:10]) {
				t.Errorf("%q: %q is %q, want the last source's %q", sources, name, got[name], w)
			}
		}
		wantNames(t, filepath.Join(dst, "sub"), "base", "overlay")
	}
	// What cannot be laid over each other is refused, whichever comes first.
	odd := makeDir(t, filepath.Join(top, "odd"))
	write(t, filepath.Join(odd, "sub"), 5, 0o644)
	wantText(t, eddyCommand(t, 1, "cp", odd+"/.", base+"/.", t.TempDir()).stderr, "base/sub", "not a directory")
	wantText(t, eddyCommand(t, 1, "cp", base+"/.", odd+"/.", t.TempDir()).stderr, "odd/sub", "a directory is in the way")
}

// TestCopyChangesExistingDirectory: one that is merged into is not the copy's to close, nor to take from its group.
func TestCopyChangesExistingDirectory(t *testing.T) {
	top := t.TempDir()
	src := makeDir(t, filepath.Join(top, "src", "dir"))
	if err := os.Chmod(src, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag, existing, want string
	}{
		{"--preserve=none", "0775", "drwxrwxr-x"},
		{"--preserve=times", "2775", "dgrwxrwxr-x"},
		{"--preserve=mode", "0775", "dr-xr-xr-x"},
		{"--preserve=mode", "2775", "dgr-xr-xr-x"},
		{"--preserve=mode,times", "1777", "dtr-xr-xr-x"},
		{"--preserve=mode", "parent", "dgr-xr-xr-x"}, // made below a set-gid directory, whose bit it inherits
		{"--preserve=none", "parent", "dgr-xr-xr-x"},
	} {
		into := t.TempDir()
		dir := filepath.Join(into, "dir")
		mode, err := strconv.ParseUint(c.existing, 8, 32)
		if err == nil {
			err = os.Mkdir(dir, 0o700)
		} else {
			dir, mode = into, 0o2775
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Chmod(dir, uint32(mode)); err != nil {
			t.Fatal(err)
		}
		eddyCommand(t, 0, "cp", c.flag, src, into)
		info, err := os.Stat(filepath.Join(into, "dir"))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().String(); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.flag, c.existing, got, c.want)
		}
		os.Chmod(filepath.Join(into, "dir"), 0o700)
	}
}
