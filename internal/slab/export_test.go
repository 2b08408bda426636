package slab

// SetGeneration ages the slot of k's index as if it had had that many owners,
// which would take hours to do for real.
func (s *Slab[T]) SetGeneration(k Key, generation uint32) {
	s.at(k.Index()).generation = generation
}

const ChunkSlots = chunkSlots
