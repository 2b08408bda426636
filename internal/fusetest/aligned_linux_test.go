package fusetest

import "unsafe"

func aligned(p []byte) bool {
	// SAFETY: the address is only looked at.
	return uintptr(unsafe.Pointer(unsafe.SliceData(p)))%4096 == 0
}
