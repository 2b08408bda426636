package slab

import "fmt"

// Key names a value in a Slab for as long as it is there. It fits in 56 bits,
// so that whoever sends it through the kernel can tag the top eight.
//
//	 63      56 55                            24 23                     0
//	┌──────────┬────────────────────────────────┬────────────────────────┐
//	│ always 0 │ generation, 1 to 2^32-1        │ index, 0 to 2^24-1     │
//	└──────────┴────────────────────────────────┴────────────────────────┘
//
// The generation is never 0, so the zero Key, and any small number, is no key
// that was ever given out.
//
// A slot's generation goes up by one with each owner, from 2^32-1 to 1. A key
// would be mistaken for a later owner's if it were used after exactly a multiple
// of 2^32-1 further owners of its slot: at ten million owners a second, all of
// them in that one slot, after seven minutes. What is in flight in a kernel
// holds its slot, so only a duplicate answer that late could be hit.
type Key uint64

const (
	indexBits      = 24
	generationBits = 32

	// KeyBits is how many low bits of a Key may be set.
	KeyBits = indexBits + generationBits
)

func makeKey(generation, index uint32) Key {
	return Key(generation)<<indexBits | Key(index)
}

// Index is the slot's number, from 0 to MaxSlots-1.
func (k Key) Index() uint32 { return uint32(k) & (MaxSlots - 1) }

// Generation tells the owners of a slot apart. It is 0 only for a Key that no
// slab gave out.
func (k Key) Generation() uint32 { return uint32(k >> indexBits) }

// String is "index.generation", with a tag in the top bits, if any, before it.
func (k Key) String() string {
	if tag := k >> KeyBits; tag != 0 {
		return fmt.Sprintf("%#x:%d.%d", uint64(tag), k.Index(), k.Generation())
	}
	return fmt.Sprintf("%d.%d", k.Index(), k.Generation())
}

// next is the generation of a slot's next owner: 0 is left out.
func next(generation uint32) uint32 {
	generation++
	if generation == 0 {
		return 1
	}
	return generation
}
