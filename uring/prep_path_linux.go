package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PrepOpenat opens a file; the result is its descriptor. It is close-on-exec
// only with O_CLOEXEC. [SQE.Direct] opens without a descriptor, which excludes
// O_CLOEXEC. OpOpenat, kernel 5.6, openat(2).
func (s *SQE) PrepOpenat(dirfd int, path *byte, flags, mode uint32) {
	s.prep(OpOpenat, dirfd, pointer(path), mode, 0)
	s.OpFlags = flags
}

// PrepOpenat2 opens a file in the way that how says. The kernel uses how until
// submitted. OpOpenat2, kernel 5.6, openat2(2).
func (s *SQE) PrepOpenat2(dirfd int, path *byte, how *unix.OpenHow) {
	s.prep(OpOpenat2, dirfd, pointer(path), uint32(unsafe.Sizeof(*how)), pointer(how))
}

// PrepClose closes a descriptor. Do not repeat it after an error, because the
// number may already belong to another file. OpClose, kernel 5.6, close(2).
func (s *SQE) PrepClose(fd int) { s.prep(OpClose, fd, 0, 0, 0) }

// PrepCloseDirect empties an index of the registered files. OpClose, kernel
// 5.15.
func (s *SQE) PrepCloseDirect(index uint32) {
	s.prep(OpClose, 0, 0, 0, 0)
	s.Direct(index)
}

// PrepFixedFdInstall gives the registered file at index a descriptor, which is
// the result. flags is 0 or FixedFdNoCloexec. OpFixedFdInstall, kernel 6.8.
func (s *SQE) PrepFixedFdInstall(index, flags uint32) {
	s.prep(OpFixedFdInstall, int(index), 0, 0, 0)
	s.Flags |= SQEFixedFile
	s.OpFlags = flags
}

// FixedFdNoCloexec is a flag of PrepFixedFdInstall: the new descriptor is not
// close-on-exec.
const FixedFdNoCloexec = 1 << 0

// PrepStatx stores in out what mask (STATX_...) names about a file. flags are
// AT_... . The kernel uses out until the completion. OpStatx, kernel 5.6,
// statx(2).
func (s *SQE) PrepStatx(dirfd int, path *byte, flags, mask uint32, out *unix.Statx_t) {
	s.prep(OpStatx, dirfd, pointer(path), mask, pointer(out))
	s.OpFlags = flags
}

// PrepUnlinkat removes a file or, with flags AT_REMOVEDIR, an empty directory.
// OpUnlinkat, kernel 5.11, unlinkat(2).
func (s *SQE) PrepUnlinkat(dirfd int, path *byte, flags uint32) {
	s.prep(OpUnlinkat, dirfd, pointer(path), 0, 0)
	s.OpFlags = flags
}

// PrepRenameat renames a file, with flags RENAME_... . OpRenameat, kernel 5.11,
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

// PrepLinkat makes a hard link at newPath to the file at oldPath. flags are
// AT_... . OpLinkat, kernel 5.15, linkat(2).
func (s *SQE) PrepLinkat(oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags uint32) {
	s.prep(OpLinkat, oldDirfd, pointer(oldPath), uint32(int32(newDirfd)), pointer(newPath))
	s.OpFlags = flags
}

// PrepGetxattr reads an extended attribute of the file at path into value; the
// result is its length. The length of value is at most 64 KiB. The kernel uses
// value until the completion. OpGetxattr, kernel 5.19, getxattr(2).
func (s *SQE) PrepGetxattr(path, name *byte, value []byte) {
	s.prep(OpGetxattr, 0, pointer(name), transferLength(len(value)), sliceAddress(value))
	s.Addr3 = pointer(path)
}

// PrepSetxattr sets an extended attribute of the file at path, with flags
// XATTR_... . The kernel uses name and value until submitted. OpSetxattr,
// kernel 5.19, setxattr(2).
func (s *SQE) PrepSetxattr(path, name *byte, value []byte, flags uint32) {
	s.prep(OpSetxattr, 0, pointer(name), transferLength(len(value)), sliceAddress(value))
	s.Addr3, s.OpFlags = pointer(path), flags
}

// PrepFgetxattr is [SQE.PrepGetxattr] for an open file. OpFgetxattr, kernel
// 5.19, fgetxattr(2).
func (s *SQE) PrepFgetxattr(fd int, name *byte, value []byte) {
	s.prep(OpFgetxattr, fd, pointer(name), transferLength(len(value)), sliceAddress(value))
}

// PrepFsetxattr is [SQE.PrepSetxattr] for an open file. OpFsetxattr, kernel
// 5.19, fsetxattr(2).
func (s *SQE) PrepFsetxattr(fd int, name *byte, value []byte, flags uint32) {
	s.prep(OpFsetxattr, fd, pointer(name), transferLength(len(value)), sliceAddress(value))
	s.OpFlags = flags
}
