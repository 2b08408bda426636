package eddy_test

import "unsafe"

// aligned is memory that O_DIRECT takes.
func aligned(size int) []byte {
	const to = 4096
	whole := make([]byte, size+to)
	// SAFETY: the address is only looked at; heap objects do not move.
	start := -int(uintptr(unsafe.Pointer(unsafe.SliceData(whole)))) & (to - 1)
	return whole[start : start+size : start+size]
}

func alignedCopy(p []byte) []byte {
	q := aligned(len(p))
	copy(q, p)
	return q
}
