package uring

import "golang.org/x/sys/unix"

// PrepRead reads into p at offset off of the file, or at CurrentPosition. A p
// longer than MaxReadWrite is cut to that. The kernel uses p until the
// completion. OpRead, kernel 5.6, pread(2).
func (s *SQE) PrepRead(fd int, p []byte, off uint64) {
	s.prep(OpRead, fd, sliceAddress(p), transferLength(len(p)), off)
}

// PrepWrite writes p at offset off of the file, or at CurrentPosition. A p
// longer than MaxReadWrite is cut to that. The kernel uses p until the
// completion. OpWrite, kernel 5.6, pwrite(2).
func (s *SQE) PrepWrite(fd int, p []byte, off uint64) {
	s.prep(OpWrite, fd, sliceAddress(p), transferLength(len(p)), off)
}

// PrepReadv reads into several buffers, at most 1024 (IOV_MAX; EINVAL above).
// flags are RWF_... . The kernel uses the buffers until the completion, and
// vectors until submitted. OpReadv, kernel 5.1, preadv2(2).
func (s *SQE) PrepReadv(fd int, vectors []unix.Iovec, off uint64, flags uint32) {
	s.prep(OpReadv, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags = flags
}

// PrepWritev writes several buffers, at most 1024 (IOV_MAX; EINVAL above).
// flags are RWF_... . The kernel uses the buffers until the completion, and
// vectors until submitted. OpWritev, kernel 5.1, pwritev2(2).
func (s *SQE) PrepWritev(fd int, vectors []unix.Iovec, off uint64, flags uint32) {
	s.prep(OpWritev, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags = flags
}

// PrepReadFixed is [SQE.PrepRead] into p, which must be part of the registered
// buffer at index (EFAULT otherwise). OpReadFixed, kernel 5.1.
func (s *SQE) PrepReadFixed(fd int, p []byte, off uint64, index uint16) {
	s.prep(OpReadFixed, fd, sliceAddress(p), transferLength(len(p)), off)
	s.BufIndex = index
}

// PrepWriteFixed is [SQE.PrepWrite] of p, which must be part of the registered
// buffer at index (EFAULT otherwise). OpWriteFixed, kernel 5.1.
func (s *SQE) PrepWriteFixed(fd int, p []byte, off uint64, index uint16) {
	s.prep(OpWriteFixed, fd, sliceAddress(p), transferLength(len(p)), off)
	s.BufIndex = index
}

// PrepReadvFixed is [SQE.PrepReadv] into parts of the registered buffer at
// index. OpReadvFixed, kernel 6.15.
func (s *SQE) PrepReadvFixed(fd int, vectors []unix.Iovec, off uint64, flags uint32, index uint16) {
	s.prep(OpReadvFixed, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags, s.BufIndex = flags, index
}

// PrepWritevFixed is [SQE.PrepWritev] of parts of the registered buffer at
// index. OpWritevFixed, kernel 6.15.
func (s *SQE) PrepWritevFixed(fd int, vectors []unix.Iovec, off uint64, flags uint32, index uint16) {
	s.prep(OpWritevFixed, fd, sliceAddress(vectors), transferLength(len(vectors)), off)
	s.OpFlags, s.BufIndex = flags, index
}

// PrepReadMultishot reads again and again from a pipe, socket or other file
// that can be polled, each time into a buffer of the group. An error, the end
// of the file or a lack of buffers ends it with a completion without CQEFMore.
// The rules for the buffers are those of [BufferRing]. OpReadMultishot, kernel
// 6.7.
func (s *SQE) PrepReadMultishot(fd int, group uint16) {
	s.prep(OpReadMultishot, fd, 0, 0, CurrentPosition)
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// FsyncDatasync makes PrepFsync a fdatasync(2).
const FsyncDatasync = 1 << 0

// PrepFsync writes a file's data and metadata to the disk; with flags
// FsyncDatasync, only the metadata needed to read the data. It does not cover
// writes that are still in flight, so link it behind them. OpFsync, kernel 5.1,
// fsync(2).
func (s *SQE) PrepFsync(fd int, flags uint32) {
	s.prep(OpFsync, fd, 0, 0, 0)
	s.OpFlags = flags
}

// PrepSyncFileRange is sync_file_range(2) with flags SYNC_FILE_RANGE_... . A
// length of 0 means to the end of the file. OpSyncFileRange, kernel 5.2.
func (s *SQE) PrepSyncFileRange(fd int, length uint32, off uint64, flags uint32) {
	s.prep(OpSyncFileRange, fd, 0, length, off)
	s.OpFlags = flags
}

// PrepFallocate is fallocate(2) with mode FALLOC_FL_... . off and length are in
// bytes. OpFallocate, kernel 5.6.
func (s *SQE) PrepFallocate(fd int, mode uint32, off, length uint64) {
	s.prep(OpFallocate, fd, length, mode, off)
}

// PrepFtruncate sets a file's length. OpFtruncate, kernel 6.9, ftruncate(2).
func (s *SQE) PrepFtruncate(fd int, length uint64) {
	s.prep(OpFtruncate, fd, 0, 0, length)
}

// PrepFadvise is posix_fadvise(2) with advice FADV_... . length is 32 bits
// wide; 0 means to the end of the file. OpFadvise, kernel 5.6.
func (s *SQE) PrepFadvise(fd int, off uint64, length, advice uint32) {
	s.prep(OpFadvise, fd, 0, length, off)
	s.OpFlags = advice
}

// PrepMadvise is madvise(2) on p with advice MADV_... . p must start at the
// beginning of a page; its length is cut to MaxReadWrite. The kernel uses p
// until the completion. Do not use it on memory of the Go heap. OpMadvise,
// kernel 5.6.
func (s *SQE) PrepMadvise(p []byte, advice uint32) {
	s.prep(OpMadvise, -1, sliceAddress(p), transferLength(len(p)), 0)
	s.OpFlags = advice
}

// SpliceFdInFixed in the flags of PrepSplice and PrepTee makes fdIn an index of
// the registered files.
const SpliceFdInFixed = 1 << 31

// PrepSplice moves up to length bytes from fdIn to fdOut, one of which must be
// a pipe. The offset of a pipe is CurrentPosition. flags are SPLICE_F_... .
// SQEFixedFile applies to fdOut, SpliceFdInFixed to fdIn. OpSplice, kernel 5.7,
// splice(2).
func (s *SQE) PrepSplice(fdIn int, offIn uint64, fdOut int, offOut uint64, length, flags uint32) {
	s.prep(OpSplice, fdOut, offIn, min(length, MaxReadWrite), offOut)
	s.FileIndex, s.OpFlags = int32(fdIn), flags
}

// PrepTee copies up to length bytes from one pipe to another without consuming
// them. flags are SPLICE_F_... . SQEFixedFile applies to fdOut, SpliceFdInFixed
// to fdIn. OpTee, kernel 5.8, tee(2).
func (s *SQE) PrepTee(fdIn, fdOut int, length, flags uint32) {
	s.prep(OpTee, fdOut, 0, min(length, MaxReadWrite), 0)
	s.FileIndex, s.OpFlags = int32(fdIn), flags
}

// PrepPipe makes a pipe and stores the descriptors of its ends in fds, the
// reading end first. flags are O_CLOEXEC and so on. With Direct the ends go to
// that index of the registered files and the one after it; with DirectAny to
// free ones, whose indexes are stored instead. The kernel uses fds until the
// completion. OpPipe, kernel 6.16, pipe2(2).
func (s *SQE) PrepPipe(fds *[2]int32, flags uint32) {
	s.prep(OpPipe, 0, pointer(fds), 0, 0)
	s.OpFlags = flags
}
