package poll

// An Interest says what a descriptor is watched for. The constants can be
// combined with | or with Add. Zero is not a valid interest; deregister
// instead.
//
// A closed peer (EPOLLRDHUP, EPOLLHUP) and errors (EPOLLERR) are reported
// whatever the interest.
type Interest uint8

const (
	// Readable: a read, receive or accept may make progress (EPOLLIN).
	Readable Interest = 1 << iota
	// Writable: a write, send or connect may make progress (EPOLLOUT).
	Writable
	// Priority: an exceptional condition, such as out-of-band data of a TCP
	// socket or a changed sysfs attribute (EPOLLPRI).
	Priority

	allInterests = Readable | Writable | Priority
)

// Add returns the union of both interests.
func (i Interest) Add(other Interest) Interest { return i | other }

// IsReadable reports whether Readable is included.
func (i Interest) IsReadable() bool { return i&Readable != 0 }

// IsWritable reports whether Writable is included.
func (i Interest) IsWritable() bool { return i&Writable != 0 }

// IsPriority reports whether Priority is included.
func (i Interest) IsPriority() bool { return i&Priority != 0 }

// IsValid reports whether at least one bit is set, and no unknown ones.
func (i Interest) IsValid() bool { return i != 0 && i&^allInterests == 0 }

// String returns text like "readable|writable", or "none".
func (i Interest) String() string {
	return bitNames(uint8(i), []string{"readable", "writable", "priority"})
}
