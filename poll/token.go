package poll

// Token is what a descriptor's events carry to tell whose they are. All 64 bits
// are the caller's.
type Token uint64
