package uring_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func content(t *testing.T, f *os.File) string {
	t.Helper()
	p, err := os.ReadFile(f.Name())
	fatalIf(t, err)
	return string(p)
}

func TestReadOrWriteMissesItsPlace(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "0123456789")
	fd := int(f.Fd())
	p := pinnedBytes(t, 4)
	if n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, 3) }); n != 4 || string(p) != "3456" {
		t.Errorf("read %d, %q", n, p)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, 8) }); n != 2 || string(p[:2]) != "89" {
		t.Errorf("read at the end: %d, %q", n, p)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, 10) }); n != 0 {
		t.Errorf("read after the end: %d", n)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepWrite(fd, pinnedText(t, "abc"), 1) }); n != 3 || content(t, f) != "0abc456789" {
		t.Errorf("write: %d, %q", n, content(t, f))
	}
	// The file's own position is at its end, where openFile has left it.
	must(t, r, func(s *uring.SQE) { s.PrepWrite(fd, pinnedText(t, "end"), uring.CurrentPosition) })
	if content(t, f) != "0abc456789end" {
		t.Errorf("write at the current position: %q", content(t, f))
	}
	c := do(t, r, func(s *uring.SQE) { s.PrepRead(-1, p, 0) })
	wantErr(t, "read of no file", c.Err(), unix.EBADF)
}

func iovec(p []byte) unix.Iovec {
	v := unix.Iovec{Base: &p[0]}
	v.SetLen(len(p))
	return v
}

func TestVectorsAreMixedUp(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "0123456789")
	fd := int(f.Fd())
	a, b := pinnedBytes(t, 3), pinnedBytes(t, 5)
	vectors := []unix.Iovec{iovec(a), iovec(b)}
	pin(t, &vectors[0])
	if n := must(t, r, func(s *uring.SQE) { s.PrepReadv(fd, vectors, 1, 0) }); n != 8 || string(a)+string(b) != "12345678" {
		t.Errorf("readv: %d, %q, %q", n, a, b)
	}
	copy(a, "xyz")
	copy(b, "ABCDE")
	if n := must(t, r, func(s *uring.SQE) { s.PrepWritev(fd, vectors, 2, 0) }); n != 8 || content(t, f) != "01xyzABCDE" {
		t.Errorf("writev: %d, %q", n, content(t, f))
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepWritev(fd, vectors, 0, unix.RWF_APPEND) }); n != 8 || content(t, f) != "01xyzABCDExyzABCDE" {
		t.Errorf("writev with flags: %d, %q", n, content(t, f))
	}
}

func TestFileOperationDoesNotDoItsWork(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "0123456789")
	fd := int(f.Fd())
	size := func() int64 {
		info, err := f.Stat()
		fatalIf(t, err)
		return info.Size()
	}
	must(t, r, func(s *uring.SQE) { s.PrepFsync(fd, 0) })
	must(t, r, func(s *uring.SQE) { s.PrepFsync(fd, uring.FsyncDatasync) })
	wantErr(t, "fsync with bad flags", do(t, r, func(s *uring.SQE) { s.PrepFsync(fd, 1<<20) }).Err(), unix.EINVAL)
	must(t, r, func(s *uring.SQE) { s.PrepSyncFileRange(fd, 4, 2, unix.SYNC_FILE_RANGE_WRITE) })
	wantErr(t, "sync_file_range with bad flags", do(t, r, func(s *uring.SQE) { s.PrepSyncFileRange(fd, 4, 2, 1<<20) }).Err(), unix.EINVAL)
	must(t, r, func(s *uring.SQE) { s.PrepFadvise(fd, 0, 10, unix.FADV_WILLNEED) })
	wantErr(t, "fadvise with bad advice", do(t, r, func(s *uring.SQE) { s.PrepFadvise(fd, 0, 10, 99) }).Err(), unix.EINVAL)
	if must(t, r, func(s *uring.SQE) { s.PrepFallocate(fd, 0, 100, 50) }); size() != 150 {
		t.Errorf("fallocate: the file has %d bytes, want 150", size())
	}
	must(t, r, func(s *uring.SQE) { s.PrepFallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 1000, 50) })
	if size() != 150 {
		t.Errorf("fallocate that keeps the size: %d, want 150", size())
	}
	needOps(t, r, uring.OpFtruncate)
	if must(t, r, func(s *uring.SQE) { s.PrepFtruncate(fd, 5) }); content(t, f) != "01234" {
		t.Errorf("ftruncate: %q", content(t, f))
	}
}

func TestMadviseMissesItsMemory(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpMadvise)
	memory, err := unix.Mmap(-1, 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	fatalIf(t, err)
	defer unix.Munmap(memory)
	page := os.Getpagesize()
	memory[0], memory[page] = 1, 2
	must(t, r, func(s *uring.SQE) { s.PrepMadvise(memory[page:], unix.MADV_DONTNEED) })
	if memory[0] != 1 || memory[page] != 0 {
		t.Errorf("after MADV_DONTNEED of the second page: %d, %d, want 1, 0", memory[0], memory[page])
	}
}

func TestSpliceMissesItsPlace(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpSplice, uring.OpTee)
	from, to := openFile(t, "0123456789"), openFile(t, "..........")
	in1, out1 := pipe(t)
	in2, out2 := pipe(t)
	if n := must(t, r, func(s *uring.SQE) { s.PrepSplice(int(from.Fd()), 2, out1, uring.CurrentPosition, 5, 0) }); n != 5 {
		t.Errorf("splice into the pipe: %d", n)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepTee(in1, out2, 3, 0) }); n != 3 {
		t.Errorf("tee: %d", n)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepSplice(in1, uring.CurrentPosition, int(to.Fd()), 4, 100, 0) }); n != 5 {
		t.Errorf("splice out of the pipe: %d", n)
	}
	var copied [10]byte
	n, err := unix.Read(in2, copied[:])
	if string(copied[:max(n, 0)]) != "234" || content(t, to) != "....23456." {
		t.Errorf("tee gave %q (%v), splice %q", copied[:max(n, 0)], err, content(t, to))
	}
	// A registered file as the input.
	fatalIf(t, r.RegisterFiles([]int32{uring.FileEmpty, int32(from.Fd())}))
	must(t, r, func(s *uring.SQE) {
		s.PrepSplice(1, 0, out1, uring.CurrentPosition, 2, uring.SpliceFdInFixed)
	})
	if n, err := unix.Read(in1, copied[:]); n != 2 || string(copied[:2]) != "01" {
		t.Errorf("splice of a registered file gave %d, %v, %q", n, err, copied[:2])
	}
}

func TestPathOperationDoesNotDoItsWork(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpLinkat, uring.OpUnlinkat, uring.OpOpenat2)
	dir := t.TempDir()
	at, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	fatalIf(t, err)
	defer unix.Close(at)
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}

	fd := must(t, r, func(s *uring.SQE) {
		s.PrepOpenat(at, path(t, "file"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o640)
	})
	write(t, fd, "content")
	var info unix.Stat_t
	fatalIf(t, unix.Fstat(fd, &info))
	if info.Mode&0o777 != 0o640 {
		t.Errorf("openat: mode %o, want 640", info.Mode&0o777)
	}
	must(t, r, func(s *uring.SQE) { s.PrepClose(fd) })
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("close: the descriptor is still open: %v", err)
	}
	wantErr(t, "close again", do(t, r, func(s *uring.SQE) { s.PrepClose(fd) }).Err(), unix.EBADF)

	how := pin(t, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	fd = must(t, r, func(s *uring.SQE) { s.PrepOpenat2(at, path(t, "file"), how) })
	var p [10]byte
	if n, err := unix.Read(fd, p[:]); string(p[:max(n, 0)]) != "content" {
		t.Errorf("openat2: %q, %v", p, err)
	}
	fatalIf(t, unix.Close(fd))

	st := pin(t, new(unix.Statx_t))
	must(t, r, func(s *uring.SQE) { s.PrepStatx(at, path(t, "file"), 0, unix.STATX_SIZE, st) })
	if st.Size != 7 || st.Mask&unix.STATX_SIZE == 0 {
		t.Errorf("statx: size %d, mask %#x", st.Size, st.Mask)
	}
	must(t, r, func(s *uring.SQE) { s.PrepMkdirat(at, path(t, "sub"), 0o750) })
	if d, err := os.Stat(filepath.Join(dir, "sub")); err != nil || !d.IsDir() || d.Mode().Perm() != 0o750 {
		t.Errorf("mkdirat: %v, %v", d, err)
	}
	must(t, r, func(s *uring.SQE) { s.PrepLinkat(at, path(t, "file"), at, path(t, "sub/hard"), 0) })
	if a, _ := os.ReadFile(filepath.Join(dir, "sub/hard")); !bytes.Equal(a, []byte("content")) {
		t.Errorf("linkat: %q", a)
	}
	must(t, r, func(s *uring.SQE) { s.PrepSymlinkat(path(t, "file"), at, path(t, "soft")) })
	if target, err := os.Readlink(filepath.Join(dir, "soft")); target != "file" {
		t.Errorf("symlinkat: %q, %v", target, err)
	}
	wantErr(t, "openat2 through a symbolic link", do(t, r, func(s *uring.SQE) { s.PrepOpenat2(at, path(t, "soft"), how) }).Err(), unix.ELOOP)
	c := do(t, r, func(s *uring.SQE) {
		s.PrepRenameat(at, path(t, "file"), at, path(t, "soft"), unix.RENAME_NOREPLACE)
	})
	wantErr(t, "renameat onto a file", c.Err(), unix.EEXIST)
	must(t, r, func(s *uring.SQE) { s.PrepRenameat(at, path(t, "file"), unix.AT_FDCWD, path(t, dir, "sub/moved"), 0) })
	if exists("file") || !exists("sub/moved") {
		t.Error("renameat did not move the file")
	}
	wantErr(t, "unlinkat of a directory", do(t, r, func(s *uring.SQE) { s.PrepUnlinkat(at, path(t, "sub"), 0) }).Err(), unix.EISDIR)
	for _, name := range []string{"sub/moved", "sub/hard", "soft"} {
		if must(t, r, func(s *uring.SQE) { s.PrepUnlinkat(at, path(t, name), 0) }); exists(name) {
			t.Errorf("unlinkat left %s", name)
		}
	}
	if must(t, r, func(s *uring.SQE) { s.PrepUnlinkat(at, path(t, "sub"), unix.AT_REMOVEDIR) }); exists("sub") {
		t.Error("unlinkat left the directory")
	}
}

func TestExtendedAttributesAreMixedUp(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpSetxattr)
	f := openFile(t, "")
	if err := unix.Fsetxattr(int(f.Fd()), "user.probe", nil, 0); err == unix.EOPNOTSUPP {
		skipKernel(t, "no attributes on this file system")
	}
	name, other := path(t, "user.one"), path(t, "user.two")
	must(t, r, func(s *uring.SQE) {
		s.PrepSetxattr(path(t, f.Name()), name, pinnedText(t, "by path"), unix.XATTR_CREATE)
	})
	must(t, r, func(s *uring.SQE) { s.PrepFsetxattr(int(f.Fd()), other, pinnedText(t, "by descriptor"), 0) })
	c := do(t, r, func(s *uring.SQE) {
		s.PrepFsetxattr(int(f.Fd()), name, pinnedText(t, "x"), unix.XATTR_CREATE)
	})
	wantErr(t, "fsetxattr of one that is there", c.Err(), unix.EEXIST)
	value := pinnedBytes(t, 100)
	n := must(t, r, func(s *uring.SQE) { s.PrepGetxattr(path(t, f.Name()), other, value) })
	if string(value[:n]) != "by descriptor" {
		t.Errorf("getxattr: %q", value[:n])
	}
	n = must(t, r, func(s *uring.SQE) { s.PrepFgetxattr(int(f.Fd()), name, value) })
	if string(value[:n]) != "by path" {
		t.Errorf("fgetxattr: %q", value[:n])
	}
}

func TestPipeEndsAreSwapped(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpPipe)
	fds := pin(t, new([2]int32))
	must(t, r, func(s *uring.SQE) { s.PrepPipe(fds, unix.O_CLOEXEC) })
	defer unix.Close(int(fds[0]))
	defer unix.Close(int(fds[1]))
	write(t, int(fds[1]), "x")
	var p [2]byte
	if n, err := unix.Read(int(fds[0]), p[:]); n != 1 || p[0] != 'x' {
		t.Errorf("read %d, %v", n, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
