package main

import "testing"

// What may be in a file is its newest content, and what was abandoned, in parts.
func TestContentInDoubtIsMisjudged(t *testing.T) {
	r := &region{id: 7}
	file := make([]byte, regionBlocks*blockSize)
	write := func(first, blocks, n int, failed bool) []byte {
		p := make([]byte, blocks*blockSize)
		g := r.prepare(p, first)
		r.written(first, blocks, n, g, failed)
		return p
	}
	copy(file, write(0, regionBlocks, len(file), false))
	expect := func(right bool, when string) {
		t.Helper()
		if wrong, what := r.differ(file, 0); right != (wrong == 0) {
			t.Errorf("%s: %d bytes are wrong: %s", when, wrong, what)
		}
	}
	expect(true, "new")
	file[3*blockSize+100]++
	expect(false, "one byte changed")
	file[3*blockSize+100]--

	p := write(2, 2, blockSize, true) // the first of two blocks is written
	expect(false, "a block that was reported as written is not")
	copy(file[2*blockSize:], p[:blockSize])
	expect(true, "abandoned, and not arrived")
	copy(file[3*blockSize:], p[blockSize:blockSize+1234])
	expect(true, "abandoned, and arrived in part")
	file[3*blockSize+5] ^= 1
	expect(false, "abandoned, and one byte is of neither")
	file[3*blockSize+5] ^= 1

	copy(file[3*blockSize:], write(3, 1, blockSize, false))
	expect(true, "written again")
	copy(file[3*blockSize:], p[blockSize:])
	expect(true, "what was abandoned has come late")
	r.blocks[3].doubts = nil
	expect(false, "and when it cannot come any more")
}
