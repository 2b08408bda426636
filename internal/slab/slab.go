package slab

// MaxSlots is how many slots a slab can have: as many as the index bits of a
// Key can count.
const MaxSlots = 1 << indexBits

// chunkSlots is how many slots are allocated together. Chunks never move and
// are kept, which is what keeps the pointers valid.
const chunkSlots = 64

// Slab stores values of type T under keys with generations. The zero value is
// an empty slab that may hold MaxSlots values. It must not be copied after first
// use, and is not safe for concurrent use.
//
// Memory grows in steps of 64 slots up to the largest number of values held at
// once, and is kept from then on: below that mark nothing allocates.
type Slab[T any] struct {
	chunks []*[chunkSlots]slot[T]
	limit  uint32 // most values held at once; 0 stands for MaxSlots
	used   uint32 // slots that have had an owner: those below this index
	length uint32 // slots that have an owner now
	vacant uint32 // index+1 of the slot vacated last, 0 if there is none
}

// slot is one place for a value.
//
//	occupied  generation                next
//	false     of the last owner,        index+1 of the slot vacated before it,
//	          0 if there was none       0 at the end of the list
//	true      of the owner              not used
type slot[T any] struct {
	value      T
	generation uint32
	next       uint32
	occupied   bool
}

// SetLimit makes Insert refuse to hold more than n values at once. Values held
// already stay, whatever n is. An n below 1 or above MaxSlots means MaxSlots.
func (s *Slab[T]) SetLimit(n int) {
	if n < 1 || n > MaxSlots {
		n = MaxSlots
	}
	s.limit = uint32(n)
}

// Limit is the most values that Insert lets the slab hold at once.
func (s *Slab[T]) Limit() int {
	if s.limit == 0 {
		return MaxSlots
	}
	return int(s.limit)
}

// Len is the number of values held.
func (s *Slab[T]) Len() int { return int(s.length) }

// Insert stores v in the slot vacated last, or in a new one, and returns its key
// and its place, which is valid until the key is removed. At the limit it stores
// nothing and returns 0 and nil.
func (s *Slab[T]) Insert(v T) (Key, *T) {
	if int(s.length) >= s.Limit() {
		return 0, nil
	}
	index := s.claim()
	p := s.at(index)
	p.value = v
	p.generation = next(p.generation)
	p.occupied = true
	s.length++
	return makeKey(p.generation, index), &p.value
}

// claim takes a vacant slot, or else the next one that never had an owner.
func (s *Slab[T]) claim() uint32 {
	if s.vacant != 0 {
		index := s.vacant - 1
		s.vacant = s.at(index).next
		return index
	}
	index := s.used
	if index%chunkSlots == 0 {
		s.chunks = append(s.chunks, new([chunkSlots]slot[T]))
	}
	s.used++
	return index
}

// Get returns the place of the value that k names, valid until k is removed. It
// reports false if k was removed or never given out.
func (s *Slab[T]) Get(k Key) (*T, bool) {
	p := s.find(k)
	if p == nil {
		return nil, false
	}
	return &p.value, true
}

// Remove takes out the value that k names and clears its place, so that the slab
// keeps nothing alive. It reports false if k was removed or never given out.
func (s *Slab[T]) Remove(k Key) (T, bool) {
	var zero T
	p := s.find(k)
	if p == nil {
		return zero, false
	}
	v := p.value
	p.value = zero
	p.occupied = false
	p.next = s.vacant
	s.vacant = k.Index() + 1
	s.length--
	return v, true
}

// Each calls f for every value, by ascending index, until f returns false; it
// can stand in a range clause. f may remove any key, which is then not visited
// any more; what f inserts may be visited or not.
func (s *Slab[T]) Each(f func(Key, *T) bool) {
	for index := uint32(0); index < s.used; index++ {
		p := s.at(index)
		if p.occupied && !f(makeKey(p.generation, index), &p.value) {
			return
		}
	}
}

// find returns the slot whose owner k names, or nil.
func (s *Slab[T]) find(k Key) *slot[T] {
	if k>>KeyBits != 0 || k.Index() >= s.used {
		return nil
	}
	p := s.at(k.Index())
	if !p.occupied || p.generation != k.Generation() {
		return nil
	}
	return p
}

func (s *Slab[T]) at(index uint32) *slot[T] {
	return &s.chunks[index/chunkSlots][index%chunkSlots]
}
