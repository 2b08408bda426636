package eddy

import (
	"testing"
	"unsafe"
)

// An idle connection takes no more memory than package net's as long as a socket
// fits the allocator's size class of 256 bytes: the next is 288.
func TestSocketOutgrowsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(socket{}); size > 256 {
		t.Errorf("%d bytes", size)
	}
}
