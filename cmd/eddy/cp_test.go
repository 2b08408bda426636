package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// chunk is the size in which files are copied: lengths around it are where mistakes are.
const chunk = 512 << 10

func write(t *testing.T, path string, size int, mode fs.FileMode) {
	t.Helper()
	data := make([]byte, size)
	random := rand.New(rand.NewPCG(uint64(size), 1))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	past := time.Unix(1234567890, 123456789)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
}

func makeDir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// sampleTree makes a tree with all that a copy can get wrong and still be allowed to copy.
func sampleTree(t *testing.T, root string) {
	t.Helper()
	for i, size := range []int{0, 1, 4095, 4097, chunk - 1, chunk, chunk + 1, 5*chunk + 7} {
		dir := makeDir(t, filepath.Join(root, "sizes", fmt.Sprint(i%3)))
		write(t, filepath.Join(dir, fmt.Sprint(size)), size, []fs.FileMode{0o644, 0o600, 0o755, 0o400}[i%4])
	}
	deep := root
	for range 30 {
		deep = filepath.Join(deep, "deep")
	}
	write(t, filepath.Join(makeDir(t, deep), "bottom"), 10, 0o644)
	makeDir(t, filepath.Join(root, "empty"))
	for i := range 300 {
		write(t, filepath.Join(makeDir(t, filepath.Join(root, "many")), fmt.Sprint(i)), i, 0o644)
	}
	for name, to := range map[string]string{"link": "sizes/0/0", "dangling": "nowhere", "directory": "sizes", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	closed := makeDir(t, filepath.Join(root, "readonly"))
	write(t, filepath.Join(closed, "file"), 3, 0o444)
	if err := os.Chmod(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o755) })
	past := time.Unix(1000000000, 0)
	for _, dir := range []string{closed, filepath.Join(root, "sizes"), root} {
		if err := os.Chtimes(dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
}

// describe lists all that is below root, a line each: type, mode, time, and contents or target.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if runtime.GOOS != "windows" {
			what += " " + info.ModTime().UTC().Format(time.RFC3339Nano)
		}
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %d %x", len(data), sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " " + to
		}
		name, err := filepath.Rel(root, path)
		all[name] = what
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantSameTree(t *testing.T, src, dst string) {
	t.Helper()
	want, got := describe(t, src), describe(t, dst)
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%q: the source is %q, the copy %q", name, w, got[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q is only in the copy", name)
		}
	}
}

// wantNames fails unless dir holds exactly these entries: no temporary file, no half file.
func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestCopiedTreeDiffersFromSource(t *testing.T) {
	src := makeDir(t, filepath.Join(t.TempDir(), "tree"))
	sampleTree(t, src)
	for _, how := range [][]string{
		{"--backend=auto"}, {"--backend=uring", "--submit=shared"}, {"--backend=uring", "--submit=thread"},
		{"--backend=epoll"}, {"--backend=portable"}, {"--no-sync"}, {"--progress=always"},
	} {
		t.Run(strings.Join(how, " "), func(t *testing.T) {
			if runtime.GOOS != "linux" && (how[0] == "--backend=uring" || how[0] == "--backend=epoll") {
				t.Skipf("SKIPPED: %s is for Linux", how[0])
			}
			dst := makeDir(t, t.TempDir())
			t.Cleanup(func() { os.Chmod(filepath.Join(dst, "new", "readonly"), 0o755) })
			eddyCommand(t, 0, append(append([]string{"cp"}, how...), src, filepath.Join(dst, "new"))...)
			wantSameTree(t, src, filepath.Join(dst, "new"))
		})
	}
}

// TestSecondCopyBreaksTheFirst: into a tree that is there already, read-only directories and all.
func TestSecondCopyBreaksTheFirst(t *testing.T) {
	src := makeDir(t, filepath.Join(t.TempDir(), "tree"))
	sampleTree(t, src)
	dst := makeDir(t, filepath.Join(t.TempDir(), "into"))
	t.Cleanup(func() { os.Chmod(filepath.Join(dst, "tree", "readonly"), 0o755) })
	for range 2 {
		eddyCommand(t, 0, "cp", src, dst)
		os.Chmod(filepath.Join(dst, "tree", "readonly"), 0o755) // for those who are not root
		os.Chmod(filepath.Join(src, "readonly"), 0o755)
	}
	past := time.Unix(1000000000, 0)
	os.Chtimes(filepath.Join(dst, "tree", "readonly"), past, past)
	wantSameTree(t, src, filepath.Join(dst, "tree"))
}

// TestDotMakesADirectoryOfItsOwn: "tree/." and ".." stand for what is in them.
func TestDotMakesADirectoryOfItsOwn(t *testing.T) {
	src, dst := makeDir(t, filepath.Join(t.TempDir(), "tree")), t.TempDir()
	write(t, filepath.Join(src, "a"), 1, 0o644)
	eddyCommand(t, 0, "cp", src+"/.", dst)
	wantNames(t, dst, "a")
	into := makeDir(t, filepath.Join(dst, "into"))
	sub := makeDir(t, filepath.Join(src, "sub"))
	eddyCommand(t, 0, "cp", sub+"/..", into)
	wantNames(t, into, "a", "sub")
	wantNames(t, dst, "a", "into")
}

func TestLinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), 10, 0o644)
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	eddyCommand(t, 0, "cp", filepath.Join(dir, "link"), filepath.Join(dir, "copy"))
	if to, err := os.Readlink(filepath.Join(dir, "copy")); to != "file" {
		t.Errorf("the copy links to %q, %v", to, err)
	}
}

// TestLinkReplacesItsOwnTarget: all that would be left is a link to itself.
func TestLinkReplacesItsOwnTarget(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	write(t, file, 10, 0o644)
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	before := describe(t, dir)
	wantText(t, eddyCommand(t, 1, "cp", link, file).stderr, "same file")
	wantText(t, eddyCommand(t, 1, "cp", file, link).stderr, "same file")
	if after := describe(t, dir); after["file"] != before["file"] || after["link"] != before["link"] {
		t.Errorf("before %v, after %v", before, after)
	}
}

// TestDestinationLinkIsReplaced: the file it names gets the new contents, the link stays.
func TestDestinationLinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "src"), 10, 0o644)
	write(t, filepath.Join(makeDir(t, filepath.Join(dir, "far")), "file"), 99, 0o644)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("far/file", link); err != nil {
		t.Fatal(err)
	}
	eddyCommand(t, 0, "cp", filepath.Join(dir, "src"), link)
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(link); err != nil || info.Size() != 10 {
		t.Errorf("the link's target is %v, %v", info, err)
	}
	if err := os.Remove(filepath.Join(dir, "far", "file")); err != nil {
		t.Fatal(err)
	}
	wantText(t, eddyCommand(t, 1, "cp", filepath.Join(dir, "src"), link).stderr, "symbolic link to nothing")
}

func TestSameFileIsEmptied(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, 10, 0o644)
	if err := os.Link(file, filepath.Join(dir, "hard")); err != nil {
		t.Fatal(err)
	}
	for _, dst := range []string{file, dir, filepath.Join(dir, "hard"), filepath.Join(dir, ".", "file")} {
		wantText(t, eddyCommand(t, 1, "cp", file, dst).stderr, "same file")
	}
	wantNames(t, dir, "file", "hard")
	if info, err := os.Stat(file); err != nil || info.Size() != 10 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

func TestDirectoryIsCopiedIntoItselfForever(t *testing.T) {
	dir := makeDir(t, filepath.Join(t.TempDir(), "dir"))
	below := makeDir(t, filepath.Join(dir, "below"))
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(below, alias); err != nil {
		t.Fatal(err)
	}
	for _, dst := range []string{dir, filepath.Join(dir, "new"), below, filepath.Join(below, "new"), alias, filepath.Join(alias, "new")} {
		wantText(t, eddyCommand(t, 1, "cp", dir, dst).stderr, "into itself")
	}
	wantText(t, eddyCommand(t, 1, "cp", dir+"/.", dir).stderr, "into itself")
	wantNames(t, dir, "below")
	wantNames(t, below)
}

func TestOneBadSourceStopsTheOthers(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), 10, 0o644)
	write(t, filepath.Join(src, "b"), chunk+5, 0o644)
	o := eddyCommand(t, 1, "cp", filepath.Join(src, "a"), filepath.Join(src, "missing"), filepath.Join(src, "gone"), filepath.Join(src, "b"), dst)
	wantText(t, o.stderr, "missing", "gone", "no such file", "2 not copied; 2 files")
	wantNames(t, dst, "a", "b")
	wantSameTree(t, filepath.Join(src, "b"), filepath.Join(dst, "b"))
}

func TestTwoSourcesOverwriteEachOther(t *testing.T) {
	dir, dst := t.TempDir(), t.TempDir()
	for i, name := range []string{"1", "2"} {
		write(t, filepath.Join(makeDir(t, filepath.Join(dir, name)), "file"), 10+i, 0o644)
	}
	o := eddyCommand(t, 1, "cp", filepath.Join(dir, "1", "file"), filepath.Join(dir, "2", "file"), dst)
	wantText(t, o.stderr, "another source")
	if info, err := os.Stat(filepath.Join(dst, "file")); err != nil || info.Size() != 10 {
		t.Errorf("the copy is %v, %v; want the first source", info, err)
	}
}

func TestImpossibleDestinationIsReplaced(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	write(t, file, 10, 0o644)
	write(t, other, 11, 0o644)
	tree := makeDir(t, filepath.Join(dir, "tree"))
	write(t, filepath.Join(makeDir(t, filepath.Join(dir, "into", "tree", "x")), "keep"), 5, 0o644)
	write(t, filepath.Join(tree, "x"), 5, 0o644)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{file, filepath.Join(dir, "new") + "/"}, "not a directory"},
		{[]string{file, filepath.Join(dir, "no", "such")}, "no such file"},
		{[]string{file, filepath.Join(other, "below")}, "not a directory"},
		{[]string{file, other, filepath.Join(dir, "new")}, "not a directory"},
		{[]string{file, tree, other}, "not a directory"},
		{[]string{tree, other}, "not a directory"},
		{[]string{tree, filepath.Join(dir, "into")}, "a directory is in the way"},
		{[]string{"", filepath.Join(dir, "new")}, "no such file"},
		{[]string{file, ""}, "no such file"},
	} {
		wantText(t, eddyCommand(t, 1, append([]string{"cp"}, c.args...)...).stderr, c.want)
	}
	wantNames(t, dir, "file", "into", "other", "tree")
	wantNames(t, filepath.Join(dir, "into", "tree", "x"), "keep")
	if info, err := os.Stat(other); err != nil || info.Size() != 11 {
		t.Errorf("the destination is %v, %v", info, err)
	}
}

func TestHostileNameBreaksCopyOrMessage(t *testing.T) {
	src, dst := makeDir(t, filepath.Join(t.TempDir(), "-src")), t.TempDir()
	names := []string{"-rf", "a\nb", `"quoted" 'twice'`, "\xff\xfe", "\x1b[31m", strings.Repeat("x", 255),
		strings.Repeat("\u00e9", 127) + "x", ".eddy-", " ", "*", "..."}
	for i, n := range names {
		write(t, filepath.Join(src, n), i, 0o644)
	}
	cmd := command(t, "cp", "--", "-src", filepath.Join(dst, "new"))
	cmd.Dir = filepath.Dir(src)
	if o := finish(t, cmd); o.code != 0 {
		t.Fatal(o.stderr)
	}
	wantSameTree(t, src, filepath.Join(dst, "new"))
	o := eddyCommand(t, 1, "cp", "no\x1b[31m\nsuch", dst)
	wantText(t, o.stderr, `no\x1b[31m\nsuch`)
	if strings.Count(o.stderr, "\n") != 1 || strings.ContainsRune(o.stderr, '\x1b') {
		t.Errorf("the name reaches the terminal: %q", o.stderr)
	}
}

func TestModeOrTimeIsKeptThoughUnwanted(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	write(t, src, 10, 0o777)
	if err := os.Chmod(src, 0o777|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	info := func(name string) fs.FileInfo {
		i, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	eddyCommand(t, 0, "cp", src, filepath.Join(dir, "all"))
	if i := info("all"); i.Mode() != 0o777 || !i.ModTime().Equal(info("src").ModTime()) {
		t.Errorf("kept: %v %v; want -rwxrwxrwx without set-uid, and the source's time", i.Mode(), i.ModTime())
	}
	eddyCommand(t, 0, "cp", "--preserve=mode", src, filepath.Join(dir, "mode"))
	if i := info("mode"); i.Mode() != 0o777 || time.Since(i.ModTime()) > time.Hour {
		t.Errorf("mode only: %v %v", i.Mode(), i.ModTime())
	}
	eddyCommand(t, 0, "cp", "--preserve=none", src, filepath.Join(dir, "none"))
	plain, err := os.OpenFile(filepath.Join(dir, "plain"), os.O_CREATE|os.O_WRONLY, 0o777)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if i := info("none"); i.Mode() != info("plain").Mode() || time.Since(i.ModTime()) > time.Hour {
		t.Errorf("nothing kept: %v %v, want %v and now", i.Mode(), i.ModTime(), info("plain").Mode())
	}
}

// TestProgressBarSpoilsPipes: a bar is for terminals.
func TestProgressBarSpoilsPipes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), chunk, 0o644)
	if o := eddyCommand(t, 0, "cp", filepath.Join(dir, "a"), filepath.Join(dir, "b")); o.stdout+o.stderr != "" {
		t.Errorf("wrote %q and %q", o.stdout, o.stderr)
	}
	o := eddyCommand(t, 0, "cp", "--verbose", filepath.Join(dir, "a"), filepath.Join(dir, "c"))
	wantText(t, o.stderr, "1 file", "512.0 KiB", "backend")
}

// buffers collects the output of a command that is started and waited for separately.
func buffers() (stdout, stderr *bytes.Buffer) { return new(bytes.Buffer), new(bytes.Buffer) }
