package uring

import (
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These values stand in the place of a descriptor in RegisterFiles and
// RegisterFilesUpdate.
const (
	FileEmpty = -1 // nothing at this index
	FileSkip  = -2 // leave what is at this index (kernel 5.12, update only)
)

// RegisterFiles gives the kernel a table of open files, which entries with
// SQEFixedFile refer to by index, so that it need not look up a descriptor for
// each request (IORING_REGISTER_FILES, kernel 5.1). The table keeps the files
// open even if their descriptors are closed. There are at most 32768 files, from
// kernel 5.19 on 1<<20, and at most RLIMIT_NOFILE (EMFILE). The error is EBUSY if
// there is a table already.
func (r *Ring) RegisterFiles(fds []int32) error {
	_, err := r.register(RegisterOpFiles, unsafe.Pointer(unsafe.SliceData(fds)), uint32(len(fds)))
	return err
}

// RegisterFilesSparse makes a table of n empty places, to be filled with
// [Ring.RegisterFilesUpdate] or by requests ([SQE.Direct]).
func (r *Ring) RegisterFilesSparse(n uint32) error {
	arg := &rsrcRegister{count: n, flags: rsrcRegisterSparse}
	_, err := r.register(RegisterOpFiles2, unsafe.Pointer(arg), uint32(unsafe.Sizeof(*arg)))
	if n != 0 && n <= MaxEntries && errors.Is(err, unix.EINVAL) {
		// Before kernel 5.19 there is no such flag, before 5.13 no such opcode.
		return r.RegisterFiles(slices.Repeat([]int32{FileEmpty}, int(n)))
	}
	return err
}

// RegisterFilesUpdate replaces the files from index offset on by others, or by
// FileEmpty; FileSkip leaves one as it is (IORING_REGISTER_FILES_UPDATE, kernel
// 5.5). It returns how many places it has dealt with, which is fewer than
// requested if there was an error in between. The error is ENXIO if there is no
// table. Requests in flight keep the file that they have.
func (r *Ring) RegisterFilesUpdate(offset uint32, fds []int32) (n int, err error) {
	arg := &rsrcUpdate{offset: offset, data: sliceAddress(fds)}
	pinned(func() {
		n, err = r.register(RegisterOpFilesUpdate, unsafe.Pointer(arg), uint32(len(fds)))
	}, unsafe.SliceData(fds))
	return n, err
}

// RegisterFilesUpdateTagged is [Ring.RegisterFilesUpdate] with a number for
// each new file. If that is not 0, a completion with this UserData is posted
// when the file has been replaced later and no request uses it any more
// (IORING_REGISTER_FILES_UPDATE2, kernel 5.13). Since kernel 6.13 that also
// happens for files removed by UnregisterFiles.
func (r *Ring) RegisterFilesUpdateTagged(offset uint32, fds []int32, tags []uint64) (int, error) {
	if len(tags) != len(fds) {
		return 0, unix.EINVAL
	}
	return r.updateResources(RegisterOpFilesUpdate2, offset, sliceAddress(fds), sliceAddress(tags), len(fds),
		unsafe.SliceData(fds), unsafe.SliceData(tags))
}

// UnregisterFiles removes the table of files (kernel 5.1). The error is ENXIO
// if there is no table.
func (r *Ring) UnregisterFiles() error {
	_, err := r.register(RegisterOpUnregisterFiles, nil, 0)
	return err
}

type fileIndexRange struct {
	offset uint32
	length uint32
	_      uint64
}

// RegisterFileAllocRange limits where SQE.DirectAny puts files: to length
// indexes, starting at offset (IORING_REGISTER_FILE_ALLOC_RANGE, kernel 6.0).
func (r *Ring) RegisterFileAllocRange(offset, length uint32) error {
	arg := &fileIndexRange{offset: offset, length: length}
	_, err := r.register(RegisterOpFileAllocRange, unsafe.Pointer(arg), 0)
	return err
}
