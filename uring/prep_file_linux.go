package uring

import "golang.org/x/sys/unix"

// PrepRead reads into p at offset off of the file, or at CurrentPosition.
// OpRead, kernel 5.6, pread(2). p until the completion. A p longer than
// MaxReadWrite is cut to that.
func (s *SQE) PrepRead(fd int, p []byte, off uint64) {
	s.prep(OpRead, fd, sliceAddress(p), transferLength(len(p)), off)
}

// PrepWrite writes p at offset off of the file, or at CurrentPosition.
// OpWrite, kernel 5.6, pwrite(2). p until the completion. A p longer than
// MaxReadWrite is cut to that.
func (s *SQE) PrepWrite(fd int, p []byte, off uint64) {
	s.prep(OpWrite, fd, sliceAddress(p), transferLength(len(p)), off)
}

// PrepReadv reads into several buffers, at most 1024 (IOV_MAX; EINVAL above).
// OpReadv, kernel 5.1, preadv2(2). The buffers until the completion, vectors
// until submitted. flags are RWF_... .
func (s *SQE) PrepReadv(fd int, vectors []unix.Iovec, off uint64, flags uint32) {
	s.prep(OpReadv, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags = flags
}

// PrepWritev writes several buffers, at most 1024 (IOV_MAX; EINVAL above).
// OpWritev, kernel 5.1, pwritev2(2). The buffers until the completion, vectors
// until submitted. flags are RWF_... .
func (s *SQE) PrepWritev(fd int, vectors []unix.Iovec, off uint64, flags uint32) {
	s.prep(OpWritev, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags = flags
}

// PrepReadFixed is PrepRead into p, a part of the registered buffer index; a p
// outside of it is EFAULT. OpReadFixed, kernel 5.1.
func (s *SQE) PrepReadFixed(fd int, p []byte, off uint64, index uint16) {
	s.prep(OpReadFixed, fd, sliceAddress(p), transferLength(len(p)), off)
	s.BufIndex = index
}

// PrepWriteFixed is PrepWrite of p, a part of the registered buffer index; a p
// outside of it is EFAULT. OpWriteFixed, kernel 5.1.
func (s *SQE) PrepWriteFixed(fd int, p []byte, off uint64, index uint16) {
	s.prep(OpWriteFixed, fd, sliceAddress(p), transferLength(len(p)), off)
	s.BufIndex = index
}

// PrepReadvFixed is PrepReadv into parts of the registered buffer index.
// OpReadvFixed, kernel 6.15.
func (s *SQE) PrepReadvFixed(fd int, vectors []unix.Iovec, off uint64, flags uint32, index uint16) {
	s.prep(OpReadvFixed, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags, s.BufIndex = flags, index
}

// PrepWritevFixed is PrepWritev of parts of the registered buffer index.
// OpWritevFixed, kernel 6.15.
func (s *SQE) PrepWritevFixed(fd int, vectors []unix.Iovec, off uint64, flags uint32, index uint16) {
	s.prep(OpWritevFixed, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags, s.BufIndex = flags, index
}

// PrepReadMultishot reads again and again from a pipe, socket or other file
// that can be polled, each time into a buffer of the group, until an error, end
// of file or want of buffers ends it: the completion without CQEFMore.
// OpReadMultishot, kernel 6.7. The group's buffers as with BufferRing.
func (s *SQE) PrepReadMultishot(fd int, group uint16) {
	s.prep(OpReadMultishot, fd, 0, 0, CurrentPosition)
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// FsyncDatasync makes PrepFsync a fdatasync(2).
const FsyncDatasync = 1 << 0

// PrepFsync writes a file's data, and unless flags is FsyncDatasync all of its
// metadata, to the disk. OpFsync, kernel 5.1, fsync(2). Writes that are in
// flight are not covered: link it behind them.
func (s *SQE) PrepFsync(fd int, flags uint32) {
	s.prep(OpFsync, fd, 0, 0, 0)
	s.OpFlags = flags
}

// PrepSyncFileRange is sync_file_range(2) with flags SYNC_FILE_RANGE_... .
// OpSyncFileRange, kernel 5.2. length 0 means to the end of the file.
func (s *SQE) PrepSyncFileRange(fd int, length uint32, off uint64, flags uint32) {
	s.prep(OpSyncFileRange, fd, 0, length, off)
	s.OpFlags = flags
}

// PrepFallocate is fallocate(2) with mode FALLOC_FL_... . OpFallocate, kernel 5.6.
func (s *SQE) PrepFallocate(fd int, mode uint32, off, length uint64) {
	s.prep(OpFallocate, fd, length, mode, off)
}

// PrepFtruncate sets a file's length. OpFtruncate, kernel 6.9, ftruncate(2).
func (s *SQE) PrepFtruncate(fd int, length uint64) {
	s.prep(OpFtruncate, fd, 0, 0, length)
}

// PrepFadvise is posix_fadvise(2) with advice FADV_... . OpFadvise, kernel 5.6.
// length is 32 bits wide; 0 means to the end of the file.
func (s *SQE) PrepFadvise(fd int, off uint64, length, advice uint32) {
	s.prep(OpFadvise, fd, 0, length, off)
	s.OpFlags = advice
}

// PrepMadvise is madvise(2) on p with advice MADV_... . OpMadvise, kernel 5.6.
// p until the completion; it must start at a page, and its length is cut to
// MaxReadWrite. Do not use it on memory of the Go heap.
func (s *SQE) PrepMadvise(p []byte, advice uint32) {
	s.prep(OpMadvise, -1, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = advice
}

// SpliceFdInFixed in PrepSplice's and PrepTee's flags makes fdIn an index of
// the registered files.
const SpliceFdInFixed = 1 << 31

// PrepSplice moves up to length bytes from fdIn to fdOut, one of which is a
// pipe, for which the offset is CurrentPosition. OpSplice, kernel 5.7,
// splice(2), flags SPLICE_F_... . SQEFixedFile is about fdOut.
func (s *SQE) PrepSplice(fdIn int, offIn uint64, fdOut int, offOut uint64, length, flags uint32) {
	s.prep(OpSplice, fdOut, offIn, min(length, MaxReadWrite), offOut)
	s.FileIndex, s.OpFlags = int32(fdIn), flags
}

// PrepTee copies up to length bytes from one pipe to another without taking
// them out. OpTee, kernel 5.8, tee(2), flags SPLICE_F_... . SQEFixedFile is
// about fdOut.
func (s *SQE) PrepTee(fdIn, fdOut int, length, flags uint32) {
	s.prep(OpTee, fdOut, 0, min(length, MaxReadWrite), 0)
	s.FileIndex, s.OpFlags = int32(fdIn), flags
}

// PrepPipe makes a pipe and stores its ends, the one to read from first.
// OpPipe, kernel 6.16, pipe2(2), flags O_CLOEXEC and so on. fds until the
// completion. With Direct they go to that index and the one after, with DirectAny
// to indexes that are stored instead.
func (s *SQE) PrepPipe(fds *[2]int32, flags uint32) {
	s.prep(OpPipe, 0, pointer(fds), 0, 0)
	s.OpFlags = flags
}
