//go:build race

package sys

import (
	"runtime"
	"syscall"
	"unsafe"
)

// racing says that the race detector is to be told.
const racing = true

// messages stands for everything that is on its way through the kernel: to the
// race detector, what was done before a message was sent has happened before it
// is received.
var messages byte

// KernelWrote tells the race detector that the kernel has written p, for a caller
// that was waiting for it.
func KernelWrote(p []byte) {
	runtime.RaceAcquire(unsafe.Pointer(&messages))
	if len(p) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
}

// KernelReads tells the race detector that the kernel is about to read p.
func KernelReads(p []byte) {
	if len(p) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
	runtime.RaceReleaseMerge(unsafe.Pointer(&messages))
}

// received tells the race detector that p came out of a stream. Std's wrapper of
// read(2) says whenever it succeeds that what a std connection at the other end
// did before it wrote has happened; a read of nothing from a socket does nothing
// else. As there, the write to p comes first: whoever touches p meanwhile has
// not been waited for by what arrives.
func received(fd int, p []byte) {
	if len(p) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
	_, _ = syscall.Read(fd, nil)
	runtime.RaceAcquire(unsafe.Pointer(&messages))
}

// sends tells the race detector that p is about to go into a stream. For a std
// connection that is going to read, std's wrapper of write(2) says so before it
// calls, here with a descriptor that nobody has.
func sends(p []byte) {
	_, _ = syscall.Write(-1, nil)
	KernelReads(p)
}
