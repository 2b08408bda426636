package poll

// A Token identifies a descriptor in its events. All 64 bits are the caller's.
type Token uint64
