package main

import (
	"fmt"
	"os"
)

const (
	blockSize    = 4096
	regionBlocks = 16
	sharedBlocks = 512
	maxDoubts    = 3 // more, and a region's content is settled
)

// region is a file of one worker's, as it has to be.
//
//	doubts  a write that was abandoned may reach the block at any time, in whole
//	        or in part, until the last reference to the open file is gone: each
//	        byte is of the block's generation or of one in doubt
type region struct {
	id      uint64
	blocks  [regionBlocks]block
	newest  uint64
	scratch [blockSize]byte
	other   [blockSize]byte
}

type block struct {
	generation uint64
	doubts     []uint64
}

func (r *region) stream(block int, generation uint64) stream {
	return streamOf(r.id, uint64(block), generation)
}

// prepare fills p with the blocks from first on, in a new generation.
func (r *region) prepare(p []byte, first int) (generation uint64) {
	r.newest++
	for i := 0; i*blockSize < len(p); i++ {
		r.stream(first+i, r.newest).fill(p[i*blockSize:(i+1)*blockSize], 0)
	}
	return r.newest
}

// written notes the outcome of a write of blocks: n bytes are there, and what of
// the rest nobody knows if it failed.
func (r *region) written(first, blocks, n int, generation uint64, failed bool) (doubts int) {
	for i := range blocks {
		b := &r.blocks[first+i]
		switch {
		case (i+1)*blockSize <= n:
			// A write in doubt may still come after this one.
			b.generation = generation
		case failed:
			b.doubts = append(b.doubts, generation)
			doubts++
		}
	}
	return doubts
}

// unsettled reports whether a block has too many doubts to add one more.
func (r *region) unsettled() bool {
	for i := range r.blocks {
		if len(r.blocks[i].doubts) >= maxDoubts {
			return true
		}
	}
	return false
}

// differ compares bytes read at off, and describes what is wrong, "" if nothing.
func (r *region) differ(p []byte, off int64) (wrong int, what string) {
	for done := 0; done < len(p); {
		at := off + int64(done)
		index, within := int(at/blockSize), at%blockSize
		part := p[done:min(done+int(blockSize-within), len(p))]
		if n, text := r.differBlock(part, index, within); n > 0 {
			if what == "" {
				what = fmt.Sprintf("block %d: %s", index, text)
			}
			wrong += n
		}
		done += len(part)
	}
	return wrong, what
}

func (r *region) differBlock(p []byte, index int, off int64) (wrong int, what string) {
	b := &r.blocks[index]
	current := r.stream(index, b.generation)
	wrong, first := current.differ(p, off, r.scratch[:])
	if wrong == 0 {
		return 0, ""
	}
	if len(b.doubts) == 0 {
		return wrong, fmt.Sprintf("%d bytes, the first at %d, %s%s", wrong, off+int64(first), current.excerpt(p, off, first), r.origin(p, index, off, b))
	}
	return r.differInDoubt(p, index, off)
}

// origin says whether the bytes are an older generation's.
func (r *region) origin(p []byte, index int, off int64, b *block) string {
	for g := r.newest + 1; g > 0; g-- {
		if n, _ := r.stream(index, g-1).differ(p, off, r.scratch[:]); n == 0 {
			return fmt.Sprintf(": all of it is generation %d, not %d (newest %d)", g-1, b.generation, r.newest)
		}
		if r.newest-g > 1000 {
			break
		}
	}
	if disturbed(p) < 0 {
		return ": all of it is what buffers hold when nobody is to look at them"
	}
	return ""
}

// differInDoubt compares byte by byte with all that may be there.
func (r *region) differInDoubt(p []byte, index int, off int64) (wrong int, what string) {
	b := &r.blocks[index]
	right := r.other[:len(p)]
	clear(right)
	for _, g := range append([]uint64{b.generation}, b.doubts...) {
		want := r.scratch[:len(p)]
		r.stream(index, g).fill(want, off)
		for i := range p {
			if p[i] == want[i] {
				right[i] = 1
			}
		}
	}
	first := -1
	for i := range p {
		if right[i] == 0 {
			if first < 0 {
				first = i
			}
			wrong++
		}
	}
	if wrong == 0 {
		return 0, ""
	}
	return wrong, fmt.Sprintf("%d bytes, the first at %d, are neither generation %d nor any of %d", wrong, off+int64(first), b.generation, b.doubts)
}

// create writes a new file of the region's.
func (r *region) create(name string) error {
	p := make([]byte, regionBlocks*blockSize)
	generation := r.prepare(p, 0)
	r.written(0, regionBlocks, len(p), generation, false)
	return os.WriteFile(name, p, 0o600)
}

// sharedStream is the content of the file that a setting's workers share.
func sharedStream(set *setting) stream {
	return streamOf(0x5eed, uint64(len(set.name)), uint64(set.name[0]))
}

// createShared writes that file.
func createShared(name string, set *setting) error {
	p := make([]byte, sharedBlocks*blockSize)
	sharedStream(set).fill(p, 0)
	return os.WriteFile(name, p, 0o600)
}
