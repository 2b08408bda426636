package sys

import (
	"math"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// FD owns a file descriptor that several goroutines use. Whoever is about to
// pass the number to the kernel acquires it first, so that it is not closed, and
// given to an unrelated file, between the look and the call.
//
// All methods may be called concurrently.
type FD struct {
	number int
	state  atomic.Uint32
}

// FD.state, one word:
//
//	 31       30                                       0
//	┌────────┬──────────────────────────────────────────┐
//	│ closed │ references; one of them is the owner's   │
//	└────────┴──────────────────────────────────────────┘
//
//	closed  references  the number     by
//	0       1           idle           NewFD
//	0       2 and up    in use         Acquire
//	1       1 and up    still in use   Close, which gives up the owner's one
//	1       0           released       Close or the last Release, by close(2)
const (
	fdClosed     = 1 << 31
	fdReferences = fdClosed - 1
)

// NewFD takes over the open descriptor number. The caller must not close it.
func NewFD(number int) *FD {
	fd := &FD{number: number}
	fd.state.Store(1)
	return fd
}

// Acquire returns the number and keeps it open until the matching Release. It
// reports false once Close has been called.
func (fd *FD) Acquire() (int, bool) {
	for {
		state := fd.state.Load()
		if state&fdClosed != 0 {
			return -1, false
		}
		if state&fdReferences == fdReferences {
			panic("sys.FD: more than 2^31-1 references")
		}
		if fd.state.CompareAndSwap(state, state+1) {
			return fd.number, true
		}
	}
}

// Release ends what Acquire began. If Close was called meanwhile and this is the
// last reference, the error is that of close(2).
func (fd *FD) Release() error {
	state := fd.state.Add(math.MaxUint32) // one less
	switch {
	case state == 0, state&fdReferences == fdReferences:
		panic("sys.FD: Release without Acquire")
	case state == fdClosed:
		return fd.release()
	}
	return nil
}

// Close refuses further Acquires, and releases the number at once or, if it is
// in use, on the last Release. It returns [os.ErrClosed] if it was called before.
func (fd *FD) Close() error {
	for {
		state := fd.state.Load()
		if state&fdClosed != 0 {
			return os.ErrClosed
		}
		if !fd.state.CompareAndSwap(state, state-1|fdClosed) {
			continue
		}
		if state == 1 {
			return fd.release()
		}
		return nil
	}
}

// Number is the descriptor, without a promise that it is still open: for
// messages, and for callers who hold a reference or keep Close from being called.
func (fd *FD) Number() int { return fd.number }

// release closes the number. It is not called twice, whatever close(2) returns:
// Linux releases the number early, before anything that can fail or be
// interrupted (close(2), NOTES), and a second call could hit another file.
func (fd *FD) release() error {
	return os.NewSyscallError("close", unix.Close(fd.number))
}
