package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Every byte that is written, to a file or a socket, can be computed again from
// where it belongs: a stream's name and the offset in it. A block of a file has a
// generation too, and is a stream of its own for each.

// stream names a sequence of bytes.
type stream uint64

// mix spreads a number over all its bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// streamOf makes a name from parts.
func streamOf(parts ...uint64) stream {
	var x uint64
	for _, p := range parts {
		x = mix(x ^ mix(p))
	}
	return stream(x)
}

// fill writes the stream's bytes from offset off on.
func (s stream) fill(p []byte, off int64) {
	var word [8]byte
	for len(p) > 0 {
		x := mix(uint64(s) + uint64(off)/8)
		if off%8 == 0 && len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, x)
			p, off = p[8:], off+8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], x)
		n := copy(p, word[off%8:])
		p, off = p[n:], off+int64(n)
	}
}

// differ compares p with the stream at offset off, using scratch, and says how
// many bytes are wrong, and which is the first.
func (s stream) differ(p []byte, off int64, scratch []byte) (wrong, first int) {
	for done := 0; done < len(p); {
		want := scratch[:min(len(scratch), len(p)-done)]
		s.fill(want, off+int64(done))
		got := p[done : done+len(want)]
		if !bytes.Equal(got, want) {
			for i := range got {
				if got[i] != want[i] {
					if wrong == 0 {
						first = done + i
					}
					wrong++
				}
			}
		}
		done += len(want)
	}
	return wrong, first
}

// excerpt shows the bytes from i on, and those that were to be there.
func (s stream) excerpt(p []byte, off int64, i int) string {
	got := p[i:min(i+16, len(p))]
	want := make([]byte, len(got))
	s.fill(want, off+int64(i))
	return fmt.Sprintf("is %x, not %x", got, want)
}

// canary is what a buffer holds that nobody is to touch.
const canary = 0xa5

var canaries = bytes.Repeat([]byte{canary}, 64<<10)

func fillCanary(p []byte) {
	for len(p) > 0 {
		p = p[copy(p, canaries):]
	}
}

// disturbed is the first byte that is not a canary, -1 if all are.
func disturbed(p []byte) int {
	for done := 0; done < len(p); done += len(canaries) {
		part := p[done:min(done+len(canaries), len(p))]
		if !bytes.Equal(part, canaries[:len(part)]) {
			for i, b := range part {
				if b != canary {
					return done + i
				}
			}
		}
	}
	return -1
}
