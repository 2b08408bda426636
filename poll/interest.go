package poll

// Interest says what a descriptor is to be watched for. The constants combine
// with | or with Add. Zero is no valid interest: deregister instead.
//
// That a peer closed (EPOLLRDHUP, EPOLLHUP) and errors (EPOLLERR) are reported
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

// Add returns the interest in what either names.
func (i Interest) Add(other Interest) Interest { return i | other }

// IsReadable reports whether Readable is included.
func (i Interest) IsReadable() bool { return i&Readable != 0 }

// IsWritable reports whether Writable is included.
func (i Interest) IsWritable() bool { return i&Writable != 0 }

// IsPriority reports whether Priority is included.
func (i Interest) IsPriority() bool { return i&Priority != 0 }

// IsValid reports whether something, and nothing unknown, is included.
func (i Interest) IsValid() bool { return i != 0 && i&^allInterests == 0 }

// String is like "readable|writable", or "none".
func (i Interest) String() string {
	return bitNames(uint8(i), []string{"readable", "writable", "priority"})
}
