//go:build race

package sys

import (
	"runtime"
	"unsafe"
)

// racing says that the race detector is to be told.
const racing = true

// messages stands for everything that is on its way through the kernel: to the
// race detector, what was done before a message was sent has happened before it
// is received.
var messages byte

// kernelWrote tells the race detector that a call that has returned wrote p.
func kernelWrote(p []byte) {
	runtime.RaceAcquire(unsafe.Pointer(&messages))
	if len(p) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
}

// kernelReads tells the race detector that a call about to be made reads p.
func kernelReads(p []byte) {
	if len(p) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(p)), len(p))
	}
	runtime.RaceReleaseMerge(unsafe.Pointer(&messages))
}
