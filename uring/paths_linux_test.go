package uring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestPathErrorIsAnotherOne lets each operation on paths fail in the ways that
// its system call does.
func TestPathErrorIsAnotherOne(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needOps(t, r, uring.OpLinkat, uring.OpUnlinkat)
		dir := t.TempDir()
		for _, name := range []string{"file", "other", "dir/inside"} {
			name = filepath.Join(dir, name)
			fatalIf(t, os.MkdirAll(filepath.Dir(name), 0o755))
			fatalIf(t, os.WriteFile(name, []byte("x"), 0o644))
		}
		fatalIf(t, os.Symlink("file", dir+"/soft"))
		at := func(name string) *byte { return path(t, dir, name) }
		const cwd = unix.AT_FDCWD
		st := pin(t, new(unix.Statx_t))
		for name, tc := range map[string]struct {
			want    error
			prepare func(s *uring.SQE)
		}{
			"open nothing":           {unix.ENOENT, func(s *uring.SQE) { s.PrepOpenat(cwd, at("none"), unix.O_RDONLY, 0) }},
			"open what must not be":  {unix.EEXIST, func(s *uring.SQE) { s.PrepOpenat(cwd, at("file"), unix.O_CREAT|unix.O_EXCL, 0o600) }},
			"open a file as a dir":   {unix.ENOTDIR, func(s *uring.SQE) { s.PrepOpenat(cwd, at("file"), unix.O_DIRECTORY, 0) }},
			"open a dir to write":    {unix.EISDIR, func(s *uring.SQE) { s.PrepOpenat(cwd, at("dir"), unix.O_WRONLY, 0) }},
			"open at what is no dir": {unix.EBADF, func(s *uring.SQE) { s.PrepOpenat(-1, path(t, "file"), unix.O_RDONLY, 0) }},
			"open a symbolic link":   {unix.ELOOP, func(s *uring.SQE) { s.PrepOpenat(cwd, at("soft"), unix.O_NOFOLLOW, 0) }},
			"mkdir what is there":    {unix.EEXIST, func(s *uring.SQE) { s.PrepMkdirat(cwd, at("dir"), 0o700) }},
			"mkdir in nothing":       {unix.ENOENT, func(s *uring.SQE) { s.PrepMkdirat(cwd, at("none/dir"), 0o700) }},
			"mkdir in a file":        {unix.ENOTDIR, func(s *uring.SQE) { s.PrepMkdirat(cwd, at("file/dir"), 0o700) }},
			"unlink nothing":         {unix.ENOENT, func(s *uring.SQE) { s.PrepUnlinkat(cwd, at("none"), 0) }},
			"rmdir a file":           {unix.ENOTDIR, func(s *uring.SQE) { s.PrepUnlinkat(cwd, at("file"), unix.AT_REMOVEDIR) }},
			"rmdir with contents":    {unix.ENOTEMPTY, func(s *uring.SQE) { s.PrepUnlinkat(cwd, at("dir"), unix.AT_REMOVEDIR) }},
			"unlink with bad flags":  {unix.EINVAL, func(s *uring.SQE) { s.PrepUnlinkat(cwd, at("file"), 1<<20) }},
			"rename nothing":         {unix.ENOENT, func(s *uring.SQE) { s.PrepRenameat(cwd, at("none"), cwd, at("new"), 0) }},
			"rename to in nothing":   {unix.ENOENT, func(s *uring.SQE) { s.PrepRenameat(cwd, at("file"), cwd, at("none/new"), 0) }},
			"rename over a dir":      {unix.EISDIR, func(s *uring.SQE) { s.PrepRenameat(cwd, at("file"), cwd, at("dir"), 0) }},
			"link nothing":           {unix.ENOENT, func(s *uring.SQE) { s.PrepLinkat(cwd, at("none"), cwd, at("new"), 0) }},
			"link over a file":       {unix.EEXIST, func(s *uring.SQE) { s.PrepLinkat(cwd, at("file"), cwd, at("other"), 0) }},
			"symlink over a file":    {unix.EEXIST, func(s *uring.SQE) { s.PrepSymlinkat(at("file"), cwd, at("other")) }},
			"symlink in nothing":     {unix.ENOENT, func(s *uring.SQE) { s.PrepSymlinkat(at("file"), cwd, at("none/soft")) }},
			"stat nothing":           {unix.ENOENT, func(s *uring.SQE) { s.PrepStatx(cwd, at("none"), 0, unix.STATX_ALL, st) }},
			"stat with bad flags":    {unix.EINVAL, func(s *uring.SQE) { s.PrepStatx(cwd, at("file"), 0, 1<<31, st) }},
		} {
			wantErr(t, name, do(t, r, tc.prepare).Err(), tc.want)
		}
		for _, name := range []string{"file", "other", "dir/inside", "soft"} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
				t.Errorf("after all that failed: %v", err)
			}
		}
		if entries, err := os.ReadDir(dir); len(entries) != 4 {
			t.Errorf("after all that failed there are %d entries, %v", len(entries), err)
		}
	})
}

// TestStatxDiffersFromStat asks by path, by descriptor and about a link itself.
func TestStatxDiffersFromStat(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "1234567")
	link := f.Name() + ".link"
	fatalIf(t, os.Symlink(f.Name(), link))
	for name, ask := range map[string]func(s *uring.SQE, st *unix.Statx_t){
		"path": func(s *uring.SQE, st *unix.Statx_t) {
			s.PrepStatx(unix.AT_FDCWD, path(t, f.Name()), 0, unix.STATX_ALL, st)
		},
		"through": func(s *uring.SQE, st *unix.Statx_t) { s.PrepStatx(unix.AT_FDCWD, path(t, link), 0, unix.STATX_ALL, st) },
		"descriptor": func(s *uring.SQE, st *unix.Statx_t) {
			s.PrepStatx(int(f.Fd()), path(t, ""), unix.AT_EMPTY_PATH, unix.STATX_ALL, st)
		},
		"link itself": func(s *uring.SQE, st *unix.Statx_t) {
			s.PrepStatx(unix.AT_FDCWD, path(t, link), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_ALL, st)
		},
	} {
		st := pin(t, new(unix.Statx_t))
		must(t, r, func(s *uring.SQE) { ask(s, st) })
		var want unix.Stat_t
		if name == "link itself" {
			fatalIf(t, unix.Lstat(link, &want))
		} else {
			fatalIf(t, unix.Stat(f.Name(), &want))
		}
		if st.Ino != want.Ino || int64(st.Size) != want.Size || uint32(st.Mode) != uint32(want.Mode) || st.Nlink != uint32(want.Nlink) {
			t.Errorf("%s: inode %d, size %d, mode %o; want %d, %d, %o", name, st.Ino, st.Size, st.Mode, want.Ino, want.Size, want.Mode)
		}
	}
}

// TestOpenat2LeavesItsRoot opens with limits to where a path may lead, by number
// and into the table.
func TestOpenat2LeavesItsRoot(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	dir := t.TempDir()
	fatalIf(t, os.Mkdir(dir+"/root", 0o755))
	fatalIf(t, os.WriteFile(dir+"/root/file", []byte("inside"), 0o644))
	fatalIf(t, os.WriteFile(dir+"/outside", []byte("outside"), 0o644))
	fatalIf(t, os.Symlink("../outside", dir+"/root/escape"))
	root, err := unix.Open(dir+"/root", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	fatalIf(t, err)
	closeLater(t, root)
	open := func(name string, how unix.OpenHow) uring.CQE {
		return do(t, r, func(s *uring.SQE) { s.PrepOpenat2(root, path(t, name), pin(t, &how)) })
	}
	beneath := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH}
	c := open("file", beneath)
	fatalIf(t, c.Err())
	unix.Close(int(c.Res))
	wantErr(t, "up", open("../outside", beneath).Err(), unix.EXDEV)
	wantErr(t, "through a link", open("escape", beneath).Err(), unix.EXDEV)
	wantErr(t, "absolute", open(filepath.Join("/", dir, "outside"), beneath).Err(), unix.EXDEV)
	wantErr(t, "no links", open("escape", unix.OpenHow{Resolve: unix.RESOLVE_NO_SYMLINKS}).Err(), unix.ELOOP)
	wantErr(t, "bad flags", open("file", unix.OpenHow{Resolve: 1 << 40}).Err(), unix.EINVAL)
	since(t, r, "opening without a descriptor", uring.OpLinkat)
	fatalIf(t, r.RegisterFilesSparse(2))
	how := pin(t, &unix.OpenHow{Flags: unix.O_RDONLY, Resolve: unix.RESOLVE_BENEATH})
	must(t, r, func(s *uring.SQE) { s.PrepOpenat2(root, path(t, "file"), how); s.Direct(1) })
	readFixedFile(t, r, 1, "inside")
	c = do(t, r, func(s *uring.SQE) { s.PrepOpenat2(root, path(t, "file"), how); s.Direct(2) })
	wantErr(t, "outside of the table", c.Err(), unix.EINVAL)
}

// TestCloseOfOddDescriptors closes what can only be named, what is registered,
// and the ring itself.
func TestCloseOfOddDescriptors(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		f := openFile(t, "x")
		fd, err := unix.Open(f.Name(), unix.O_PATH|unix.O_CLOEXEC, 0)
		fatalIf(t, err)
		must(t, r, func(s *uring.SQE) { s.PrepClose(fd) })
		wantErr(t, "again", do(t, r, func(s *uring.SQE) { s.PrepClose(fd) }).Err(), unix.EBADF)
		if c := do(t, r, func(s *uring.SQE) { s.PrepClose(r.Fd()) }); c.Err() != unix.EBADF {
			t.Errorf("the ring's own: %+v", c)
		}
		since(t, r, "closing without a descriptor", uring.OpLinkat)
		if err := do(t, r, func(s *uring.SQE) { s.PrepCloseDirect(0) }).Err(); err != unix.ENXIO && err != unix.EINVAL {
			t.Errorf("a place without a table: %v", err)
		}
		fatalIf(t, r.RegisterFilesSparse(2))
		wantErr(t, "an empty place", do(t, r, func(s *uring.SQE) { s.PrepCloseDirect(1) }).Err(), unix.EBADF)
	})
}

// TestAttributeErrorIsAnotherOne lets operations on extended attributes fail.
func TestAttributeErrorIsAnotherOne(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpSetxattr)
	f := openFile(t, "")
	if err := unix.Fsetxattr(int(f.Fd()), "user.there", []byte("value"), 0); err != nil {
		skipKernel(t, "no attributes on this file system: %v", err)
	}
	fd, value := int(f.Fd()), pinnedBytes(t, 100)
	there, none := path(t, "user.there"), path(t, "user.none")
	for name, tc := range map[string]struct {
		want    error
		prepare func(s *uring.SQE)
	}{
		"get none":             {unix.ENODATA, func(s *uring.SQE) { s.PrepFgetxattr(fd, none, value) }},
		"get none by path":     {unix.ENODATA, func(s *uring.SQE) { s.PrepGetxattr(path(t, f.Name()), none, value) }},
		"get into too little":  {unix.ERANGE, func(s *uring.SQE) { s.PrepFgetxattr(fd, there, value[:2]) }},
		"get of nothing":       {unix.ENOENT, func(s *uring.SQE) { s.PrepGetxattr(path(t, f.Name()+"x"), there, value) }},
		"get of a bad number":  {unix.EBADF, func(s *uring.SQE) { s.PrepFgetxattr(-1, there, value) }},
		"create what is there": {unix.EEXIST, func(s *uring.SQE) { s.PrepFsetxattr(fd, there, value, unix.XATTR_CREATE) }},
		"replace none":         {unix.ENODATA, func(s *uring.SQE) { s.PrepFsetxattr(fd, none, value, unix.XATTR_REPLACE) }},
		"set with bad flags":   {unix.EINVAL, func(s *uring.SQE) { s.PrepFsetxattr(fd, there, value, 1<<10) }},
		"set of nothing":       {unix.ENOENT, func(s *uring.SQE) { s.PrepSetxattr(path(t, f.Name()+"x"), there, value, 0) }},
		"set without a domain": {unix.EOPNOTSUPP, func(s *uring.SQE) { s.PrepFsetxattr(fd, path(t, "there"), value, 0) }},
	} {
		wantErr(t, name, do(t, r, tc.prepare).Err(), tc.want)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepFgetxattr(fd, there, nil) }); n != 5 {
		t.Errorf("the length of the value is %d, want 5", n)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepFgetxattr(fd, there, value) }); string(value[:n]) != "value" {
		t.Errorf("after all that failed: %q", value[:n])
	}
}

// TestSpliceTakesWhatItMustNot splices and tees between odd files.
func TestSpliceTakesWhatItMustNot(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpSplice, uring.OpTee)
	in, out := pipe(t)
	f, g := openFile(t, "content"), openFile(t, "")
	const here = uring.CurrentPosition
	for name, tc := range map[string]struct {
		want    error
		prepare func(s *uring.SQE)
	}{
		"no pipe":             {unix.EINVAL, func(s *uring.SQE) { s.PrepSplice(int(f.Fd()), 0, int(g.Fd()), 0, 4, 0) }},
		"a pipe with a place": {unix.ESPIPE, func(s *uring.SQE) { s.PrepSplice(int(f.Fd()), 0, out, 3, 4, 0) }},
		"wrong end":           {unix.EBADF, func(s *uring.SQE) { s.PrepSplice(int(f.Fd()), 0, in, here, 4, 0) }},
		"bad flags":           {unix.EINVAL, func(s *uring.SQE) { s.PrepSplice(int(f.Fd()), 0, out, here, 4, 1<<20) }},
		"no input":            {unix.EBADF, func(s *uring.SQE) { s.PrepSplice(-1, here, out, here, 4, 0) }},
		"tee of no pipe":      {unix.EINVAL, func(s *uring.SQE) { s.PrepTee(int(f.Fd()), out, 4, 0) }},
		"tee to itself":       {unix.EINVAL, func(s *uring.SQE) { s.PrepTee(in, out, 4, 0) }},
	} {
		wantErr(t, name, do(t, r, tc.prepare).Err(), tc.want)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepSplice(int(f.Fd()), 0, out, here, 0, 0) }); n != 0 {
		t.Errorf("splice of nothing: %d", n)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepTee(in, out, 0, 0) }); n != 0 {
		t.Errorf("tee of nothing: %d", n)
	}
	// From pipe to pipe, when the data comes later.
	in2, out2 := pipe(t)
	next(t, r, 1).PrepSplice(in, here, out2, here, 100, 0)
	submit(t, r)
	quiet(t, r, "the pipe is empty")
	write(t, out, "through both")
	if c := sequence(t, r, 1)[0]; c.Res != 12 {
		t.Errorf("from pipe to pipe: %+v", c)
	}
	var p [16]byte
	if n, err := unix.Read(in2, p[:]); string(p[:max(n, 0)]) != "through both" {
		t.Errorf("the second pipe has %q, %v", p, err)
	}
}

// TestTruncationOfOddFiles sets lengths that are not possible.
func TestTruncationOfOddFiles(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpFtruncate)
	f := openFile(t, "0123456789")
	readOnly, err := os.Open(f.Name())
	fatalIf(t, err)
	defer readOnly.Close()
	in, _ := pipe(t)
	for name, fd := range map[string]int{"a file to read": int(readOnly.Fd()), "a pipe": in, "nothing": -1} {
		want := error(unix.EINVAL)
		if fd == -1 {
			want = unix.EBADF
		}
		wantErr(t, name, do(t, r, func(s *uring.SQE) { s.PrepFtruncate(fd, 5) }).Err(), want)
	}
	wantErr(t, "less than nothing", do(t, r, func(s *uring.SQE) { s.PrepFtruncate(int(f.Fd()), 1<<63) }).Err(), unix.EINVAL)
	for _, size := range []uint64{20, 3} {
		must(t, r, func(s *uring.SQE) { s.PrepFtruncate(int(f.Fd()), size) })
		if got := content(t, f); len(got) != int(size) || got[:3] != "012" {
			t.Errorf("size %d: %q", size, got)
		}
	}
}

// TestInstalledDescriptorOutlivesItsPlace gives a registered file a descriptor,
// in each way, and takes it out of the table.
func TestInstalledDescriptorOutlivesItsPlace(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpFixedFdInstall)
	in, out := pipe(t)
	fatalIf(t, r.RegisterFiles([]int32{int32(in), uring.FileEmpty}))
	for flags, want := range map[uint32]int{0: unix.FD_CLOEXEC, uring.FixedFdNoCloexec: 0} {
		fd := closeLater(t, must(t, r, func(s *uring.SQE) { s.PrepFixedFdInstall(0, flags) }))
		if got, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); got != want {
			t.Errorf("flags %d: the descriptor has %#x, %v; want %#x", flags, got, err, want)
		}
		write(t, out, fmt.Sprint("flags ", flags))
		var p [16]byte
		if n, err := unix.Read(fd, p[:]); string(p[:max(n, 0)]) != fmt.Sprint("flags ", flags) {
			t.Errorf("read %q, %v", p, err)
		}
	}
	fd := closeLater(t, must(t, r, func(s *uring.SQE) { s.PrepFixedFdInstall(0, 0) }))
	must(t, r, func(s *uring.SQE) { s.PrepCloseDirect(0) })
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		t.Errorf("the descriptor is gone with its place: %v", err)
	}
	wantErr(t, "an empty place", do(t, r, func(s *uring.SQE) { s.PrepFixedFdInstall(1, 0) }).Err(), unix.EBADF)
	wantErr(t, "outside of the table", do(t, r, func(s *uring.SQE) { s.PrepFixedFdInstall(9, 0) }).Err(), unix.EBADF)
	wantErr(t, "bad flags", do(t, r, func(s *uring.SQE) { s.PrepFixedFdInstall(0, 1<<5) }).Err(), unix.EINVAL)
}

// TestPipeOfTableLeaks makes pipes in the table, at places of our choice and of
// the kernel's, and where one end does not fit.
func TestPipeOfTableLeaks(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpPipe)
	fatalIf(t, r.RegisterFilesSparse(4))
	before := openDescriptors(t)
	fds := pin(t, new([2]int32))
	must(t, r, func(s *uring.SQE) { s.PrepPipe(fds, 0); s.DirectAny() })
	if *fds != [2]int32{0, 1} {
		t.Errorf("the kernel chose the places %v, want 0 and 1", *fds)
	}
	p := pinnedBytes(t, 8)
	must(t, r, func(s *uring.SQE) { s.PrepWrite(int(fds[1]), pinnedText(t, "x"), uring.CurrentPosition); fixed(s) })
	if n := must(t, r, func(s *uring.SQE) { s.PrepRead(int(fds[0]), p, uring.CurrentPosition); fixed(s) }); n != 1 || p[0] != 'x' {
		t.Errorf("read %d, %q", n, p)
	}
	must(t, r, func(s *uring.SQE) { s.PrepPipe(fds, 0); s.Direct(2) }) // 2 and 3
	must(t, r, func(s *uring.SQE) { s.PrepWrite(3, pinnedText(t, "y"), uring.CurrentPosition); fixed(s) })
	if n := must(t, r, func(s *uring.SQE) { s.PrepRead(2, p, uring.CurrentPosition); fixed(s) }); n != 1 || p[0] != 'y' {
		t.Errorf("read %d, %q", n, p)
	}
	c := do(t, r, func(s *uring.SQE) { s.PrepPipe(fds, 0); s.DirectAny() })
	wantErr(t, "a full table", c.Err(), unix.ENFILE)
	c = do(t, r, func(s *uring.SQE) { s.PrepPipe(fds, 1<<1) })
	wantErr(t, "bad flags", c.Err(), unix.EINVAL)
	if n := openDescriptors(t); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

// TestEpollWaitSleepsThrough waits on an epoll instance before anything is ready,
// for more than is, and gives up.
func TestEpollWaitSleepsThrough(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needOps(t, r, uring.OpEpollWait)
		epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		fatalIf(t, err)
		closeLater(t, epfd)
		var fds [3]int
		for i := range fds {
			fds[i] = eventfd(t, 0)
			event := pin(t, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
			must(t, r, func(s *uring.SQE) { s.PrepEpollCtl(epfd, unix.EPOLL_CTL_ADD, fds[i], event) })
		}
		events := make([]unix.EpollEvent, 4)
		pin(t, &events[0])
		next(t, r, 1).PrepEpollWait(epfd, events)
		submit(t, r)
		quiet(t, r, "nothing is ready")
		signalEventfd(t, fds[1])
		if c := sequence(t, r, 1)[0]; c.Res != 1 || events[0].Fd != 1 || events[0].Events != unix.EPOLLIN {
			t.Errorf("one: %+v, %+v", c, events[0])
		}
		signalEventfd(t, fds[0])
		signalEventfd(t, fds[2])
		if n := must(t, r, func(s *uring.SQE) { s.PrepEpollWait(epfd, events) }); n != 3 {
			t.Errorf("three: %d", n)
		}
		if n := must(t, r, func(s *uring.SQE) { s.PrepEpollWait(epfd, events[:2]) }); n != 2 {
			t.Errorf("room for two: %d", n)
		}
		for i := range fds {
			eventCount(t, fds[i])
		}
		next(t, r, 1).PrepEpollWait(epfd, events)
		submit(t, r)
		cancelled(t, r, "the wait", 0, func(s *uring.SQE) { s.PrepCancel(1, 0) }, 1)
		c := do(t, r, func(s *uring.SQE) { s.PrepEpollWait(fds[0], events) })
		wantErr(t, "what is no epoll instance", c.Err(), unix.EINVAL)
	})
}
