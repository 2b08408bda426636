package main

import (
	"bytes"
	"testing"
)

// A part of a stream is the same wherever it is computed from.
func TestPatternDependsOnWhereItIsCut(t *testing.T) {
	s := streamOf(1, 2, 3)
	whole := make([]byte, 1000)
	s.fill(whole, 0)
	for off := range 40 {
		for n := range 40 {
			part := make([]byte, n)
			s.fill(part, int64(off))
			if !bytes.Equal(part, whole[off:off+n]) {
				t.Fatalf("%d bytes at %d are %x, not %x", n, off, part, whole[off:off+n])
			}
		}
	}
}

func TestEveryWrongBytePassesUnseen(t *testing.T) {
	s := streamOf(4)
	p, scratch := make([]byte, 300), make([]byte, 128)
	s.fill(p, 77)
	if wrong, _ := s.differ(p, 77, scratch); wrong != 0 {
		t.Fatalf("%d bytes are wrong, and none is", wrong)
	}
	for i := range p {
		p[i] ^= 0x10
		if wrong, first := s.differ(p, 77, scratch); wrong != 1 || first != i {
			t.Fatalf("byte %d is wrong; found %d, the first at %d", i, wrong, first)
		}
		p[i] ^= 0x10
	}
	if wrong, _ := streamOf(5).differ(p, 77, scratch); wrong < len(p)*9/10 {
		t.Errorf("another stream differs in %d of %d bytes only", wrong, len(p))
	}
	if wrong, _ := s.differ(p, 78, scratch); wrong < len(p)*9/10 {
		t.Errorf("a shift by one makes %d of %d bytes wrong only", wrong, len(p))
	}
}

func TestDisturbedBufferPassesUnseen(t *testing.T) {
	p := make([]byte, 3*len(canaries)/2)
	fillCanary(p)
	if at := disturbed(p); at != -1 {
		t.Fatalf("byte %d was disturbed, and none was", at)
	}
	for _, i := range []int{0, 1, len(canaries) - 1, len(canaries), len(p) - 1} {
		p[i]++
		if at := disturbed(p); at != i {
			t.Errorf("byte %d was disturbed, found %d", i, at)
		}
		p[i]--
	}
}
