package poll

// Source is anything with a descriptor that can be watched.
type Source interface {
	// PollFd is the descriptor. It must stay open, and the same, as long as the
	// Source is registered.
	PollFd() int
}

// SourceFd is a bare descriptor as a [Source]. It does not own it.
type SourceFd int

var _ Source = SourceFd(0)

// PollFd is the descriptor.
func (fd SourceFd) PollFd() int { return int(fd) }
