package uring

import "unsafe"

// The Prep methods fill an entry for one operation. What they have in common:
//
//   - They overwrite every field except Flags and UserData. Fields that an
//     operation takes besides the arguments (Personality, the Ioprio of reads,
//     the buffer group in BufIndex for SQEBufferSelect) are set afterwards.
//   - All memory that an argument points to is the kernel's from the submission
//     to the terminal completion: it must stay reachable and pinned
//     (runtime.Pinner), and unchanged, until then. Where a method says "until
//     submitted" the kernel makes its own copy during the submission
//     (FeatSubmitStable, kernel 5.5); with SetupSQPoll that is when the entry
//     is consumed, which is hard to tell, so keep it until the completion.
//   - A file descriptor is looked up when the request starts, which may be
//     after the submission (links, drains): it must stay open until the
//     completion. With SQEFixedFile it is an index of the registered files.
//   - Results are those of the system call with the same name: Res is what it
//     would return, or an errno, negated.

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

// CurrentPosition as an offset means the file's own position, which moves
// (FeatRWCurPos, kernel 5.6). It must be used for pipes and sockets, or 0.
const CurrentPosition = ^uint64(0)

// FileIndexAlloc in FileIndex lets the kernel choose the index of the
// registered files at which an opened file is put (IORING_FILE_INDEX_ALLOC,
// kernel 5.19); Res is the index then.
const FileIndexAlloc int32 = -1

// Direct makes an operation that opens a file (open, accept, socket) put it at
// an index of the registered files instead of giving it a descriptor (kernel
// 5.15), replacing what is there. Call it after the Prep method.
func (s *SQE) Direct(index uint32) { s.FileIndex = int32(index + 1) }

// DirectAny is Direct at an index that the kernel chooses and returns in Res
// (kernel 5.19); ENFILE if all are taken.
func (s *SQE) DirectAny() { s.FileIndex = FileIndexAlloc }

// PrepNop does nothing, and completes with 0. OpNop, kernel 5.1.
func (s *SQE) PrepNop() { s.prep(OpNop, -1, 0, 0, 0) }

// The flags of OpNop, in OpFlags (kernel 6.10).
const (
	NopInjectResult = 1 << 0 // the result is Len
	NopCQE32        = 1 << 5 // post a completion of 32 bytes; needs SetupCQE32 or SetupCQEMixed (6.18)
)
