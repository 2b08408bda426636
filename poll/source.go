package poll

// A Source is anything with a descriptor that can be watched.
type Source interface {
	// PollFd returns the descriptor. It must stay open, and the same, as long as the
	// Source is registered.
	PollFd() int
}

// SourceFd is a bare descriptor as a Source. It does not own the descriptor.
type SourceFd int

var _ Source = SourceFd(0)

// PollFd returns the descriptor.
func (fd SourceFd) PollFd() int { return int(fd) }
