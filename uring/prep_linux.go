package uring

import "unsafe"

// The package comment says what the Prep methods have in common.

// prep fills in what nearly every operation uses and zeroes the rest.
func (s *SQE) prep(op Op, fd int, addr uint64, n uint32, off uint64) {
	flags, userData := s.Flags, s.UserData
	*s = SQE{Opcode: op, Flags: flags, UserData: userData, Fd: int32(fd), Addr: addr, Len: n, Off: off}
}

// pointer is the address of *p for the kernel; *p is on the heap then.
func pointer[T any](p *T) uint64 { return address(unsafe.Pointer(p)) }

// transferLength cuts a length to what one read or write moves at most.
func transferLength(n int) uint32 {
	if n > MaxReadWrite {
		return MaxReadWrite
	}
	return uint32(n)
}

// CurrentPosition as an offset means the file's own position (FeatRWCurPos, kernel
// 5.6). For pipes and sockets the offset must be this or 0. A regular file's is no
// substitute for an offset: it is advanced only by requests that end without having
// to wait, which with O_DIRECT they do not, and nobody else is kept from using it
// meanwhile (io_uring/rw.c, kiocb_done).
const CurrentPosition = ^uint64(0)

// FileIndexAlloc in FileIndex lets the kernel choose the index of the
// registered files at which an opened file is put (IORING_FILE_INDEX_ALLOC,
// kernel 5.19). Res is then the index. See [SQE.DirectAny].
const FileIndexAlloc int32 = -1

// Direct makes an operation that opens a file (open, accept, socket) put it at
// an index of the registered files, replacing what is there, instead of giving
// it a descriptor (kernel 5.15). Call it after the Prep method.
func (s *SQE) Direct(index uint32) { s.FileIndex = int32(index + 1) }

// DirectAny is [SQE.Direct] at an index that the kernel chooses and returns in
// Res (kernel 5.19). The result is ENFILE if all are taken.
func (s *SQE) DirectAny() { s.FileIndex = FileIndexAlloc }

// PrepNop does nothing, and completes with 0. OpNop, kernel 5.1.
func (s *SQE) PrepNop() { s.prep(OpNop, -1, 0, 0, 0) }

// The flags of OpNop, in OpFlags (kernel 6.10).
const (
	NopInjectResult = 1 << 0 // the result is Len
	NopCQE32        = 1 << 5 // post a completion of 32 bytes; needs SetupCQE32 or SetupCQEMixed (6.18)
)
