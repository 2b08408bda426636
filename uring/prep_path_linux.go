package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A path is a pointer to bytes that end with 0, as unix.BytePtrFromString
// makes; a relative one starts at dirfd, or at the working directory with
// unix.AT_FDCWD. Paths may be let go once submitted.

// PrepOpenat opens a file; the result is its descriptor, which is
// close-on-exec only with O_CLOEXEC. OpOpenat, kernel 5.6, openat(2).
// See Direct for opening without a descriptor (which excludes O_CLOEXEC).
func (s *SQE) PrepOpenat(dirfd int, path *byte, flags, mode uint32) {
	s.prep(OpOpenat, dirfd, pointer(path), mode, 0)
	s.OpFlags = flags
}

// PrepOpenat2 opens a file as how says, which may be let go once submitted.
// OpOpenat2, kernel 5.6, openat2(2).
func (s *SQE) PrepOpenat2(dirfd int, path *byte, how *unix.OpenHow) {
	s.prep(OpOpenat2, dirfd, pointer(path), uint32(unsafe.Sizeof(*how)), pointer(how))
}

// PrepClose closes a descriptor. OpClose, kernel 5.6, close(2). Never repeat
// it on an error other than EBADF of a number that was not open.
func (s *SQE) PrepClose(fd int) { s.prep(OpClose, fd, 0, 0, 0) }

// PrepCloseDirect empties an index of the registered files. OpClose, kernel 5.15.
func (s *SQE) PrepCloseDirect(index uint32) {
	s.prep(OpClose, 0, 0, 0, 0)
	s.Direct(index)
}

// PrepFixedFdInstall gives the registered file at index a descriptor, the
// result; flags 0 or FixedFdNoCloexec. OpFixedFdInstall, kernel 6.8.
func (s *SQE) PrepFixedFdInstall(index, flags uint32) {
	s.prep(OpFixedFdInstall, int(index), 0, 0, 0)
	s.Flags |= SQEFixedFile
	s.OpFlags = flags
}

// FixedFdNoCloexec is PrepFixedFdInstall's flag.
const FixedFdNoCloexec = 1 << 0

// PrepStatx asks for what mask (STATX_...) names; flags are AT_... . OpStatx,
// kernel 5.6, statx(2). out until the completion.
func (s *SQE) PrepStatx(dirfd int, path *byte, flags, mask uint32, out *unix.Statx_t) {
	s.prep(OpStatx, dirfd, pointer(path), mask, pointer(out))
	s.OpFlags = flags
}

// PrepUnlinkat removes a file, or with flags AT_REMOVEDIR an empty directory.
// OpUnlinkat, kernel 5.11, unlinkat(2).
func (s *SQE) PrepUnlinkat(dirfd int, path *byte, flags uint32) {
	s.prep(OpUnlinkat, dirfd, pointer(path), 0, 0)
	s.OpFlags = flags
}

// PrepRenameat renames, with flags RENAME_... . OpRenameat, kernel 5.11,
// renameat2(2).
func (s *SQE) PrepRenameat(oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags uint32) {
	s.prep(OpRenameat, oldDirfd, pointer(oldPath), uint32(int32(newDirfd)), pointer(newPath))
	s.OpFlags = flags
}

// PrepMkdirat makes a directory. OpMkdirat, kernel 5.15, mkdirat(2).
func (s *SQE) PrepMkdirat(dirfd int, path *byte, mode uint32) {
	s.prep(OpMkdirat, dirfd, pointer(path), mode, 0)
}

// PrepSymlinkat makes a symbolic link at path that points to target.
// OpSymlinkat, kernel 5.15, symlinkat(2).
func (s *SQE) PrepSymlinkat(target *byte, dirfd int, path *byte) {
	s.prep(OpSymlinkat, dirfd, pointer(target), 0, pointer(path))
}

// PrepLinkat makes a hard link at newPath to the file at oldPath, with flags
// AT_... . OpLinkat, kernel 5.15, linkat(2).
func (s *SQE) PrepLinkat(oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags uint32) {
	s.prep(OpLinkat, oldDirfd, pointer(oldPath), uint32(int32(newDirfd)), pointer(newPath))
	s.OpFlags = flags
}

// PrepGetxattr reads an extended attribute of the file at path into value; the
// result is its length. OpGetxattr, kernel 5.19, getxattr(2). value until the
// completion; its length is at most 64 KiB.
func (s *SQE) PrepGetxattr(path, name *byte, value []byte) {
	s.prep(OpGetxattr, 0, pointer(name), transferLength(len(value)), sliceAddress(value))
	s.Addr3 = pointer(path)
}

// PrepSetxattr sets an extended attribute of the file at path, with flags
// XATTR_... . OpSetxattr, kernel 5.19, setxattr(2). name and value until
// submitted.
func (s *SQE) PrepSetxattr(path, name *byte, value []byte, flags uint32) {
	s.prep(OpSetxattr, 0, pointer(name), transferLength(len(value)), sliceAddress(value))
	s.Addr3, s.OpFlags = pointer(path), flags
}

// PrepFgetxattr is PrepGetxattr on an open file. OpFgetxattr, kernel 5.19,
// fgetxattr(2).
func (s *SQE) PrepFgetxattr(fd int, name *byte, value []byte) {
	s.prep(OpFgetxattr, fd, pointer(name), transferLength(len(value)), sliceAddress(value))
}

// PrepFsetxattr is PrepSetxattr on an open file. OpFsetxattr, kernel 5.19,
// fsetxattr(2).
func (s *SQE) PrepFsetxattr(fd int, name *byte, value []byte, flags uint32) {
	s.prep(OpFsetxattr, fd, pointer(name), transferLength(len(value)), sliceAddress(value))
	s.OpFlags = flags
}
