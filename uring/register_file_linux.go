package uring

import (
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What RegisterFiles and RegisterFilesUpdate take instead of a descriptor.
const (
	FileEmpty = -1 // nothing at this index
	FileSkip  = -2 // leave what is at this index (kernel 5.12, update only)
)

// RegisterFiles gives the kernel a table of open files, to be used by index
// with SQEFixedFile, which spares it a look-up for each request
// (IORING_REGISTER_FILES, kernel 5.1). The table holds the files open whatever
// happens to their descriptors. At most 32768, and RLIMIT_NOFILE (EMFILE);
// EBUSY if there is a table.
func (r *Ring) RegisterFiles(fds []int32) error {
	_, err := r.register(RegisterOpFiles, unsafe.Pointer(unsafe.SliceData(fds)), uint32(len(fds)))
	return err
}

// RegisterFilesSparse makes a table of n empty places, to be filled with
// RegisterFilesUpdate or by requests (SQE.Direct).
func (r *Ring) RegisterFilesSparse(n uint32) error {
	arg := &rsrcRegister{count: n, flags: rsrcRegisterSparse}
	_, err := r.register(RegisterOpFiles2, unsafe.Pointer(arg), uint32(unsafe.Sizeof(*arg)))
	if n != 0 && n <= MaxEntries && errors.Is(err, unix.EINVAL) {
		// Before kernel 5.19 there is no such flag, before 5.13 no such opcode.
		return r.RegisterFiles(slices.Repeat([]int32{FileEmpty}, int(n)))
	}
	return err
}

// RegisterFilesUpdate replaces the files at offset and after it by others,
// FileEmpty or FileSkip, and returns how many it has dealt with: fewer than
// asked for after an error in between (IORING_REGISTER_FILES_UPDATE, kernel
// 5.5). ENXIO if there is no table. Requests in flight finish with the file
// that they have.
func (r *Ring) RegisterFilesUpdate(offset uint32, fds []int32) (n int, err error) {
	arg := &rsrcUpdate{offset: offset, data: sliceAddress(fds)}
	pinned(func() {
		n, err = r.register(RegisterOpFilesUpdate, unsafe.Pointer(arg), uint32(len(fds)))
	}, unsafe.SliceData(fds))
	return n, err
}

// RegisterFilesUpdateTagged is RegisterFilesUpdate with a number for each new
// file: when that file has later been replaced and no request uses it any more,
// a completion with this UserData tells so; 0: none
// (IORING_REGISTER_FILES_UPDATE2, kernel 5.13). Since kernel 6.13 it also tells
// so of those that UnregisterFiles has removed.
func (r *Ring) RegisterFilesUpdateTagged(offset uint32, fds []int32, tags []uint64) (int, error) {
	if len(tags) != len(fds) {
		return 0, unix.EINVAL
	}
	return r.updateResources(RegisterOpFilesUpdate2, offset, sliceAddress(fds), sliceAddress(tags), len(fds),
		unsafe.SliceData(fds), unsafe.SliceData(tags))
}

// UnregisterFiles removes the table (kernel 5.1). ENXIO if there is none.
func (r *Ring) UnregisterFiles() error {
	_, err := r.register(RegisterOpUnregisterFiles, nil, 0)
	return err
}

type fileIndexRange struct {
	offset uint32
	length uint32
	_      uint64
}

// RegisterFileAllocRange limits where SQE.DirectAny puts files to the length
// indexes from offset on (IORING_REGISTER_FILE_ALLOC_RANGE, kernel 6.0).
func (r *Ring) RegisterFileAllocRange(offset, length uint32) error {
	arg := &fileIndexRange{offset: offset, length: length}
	_, err := r.register(RegisterOpFileAllocRange, unsafe.Pointer(arg), 0)
	return err
}
