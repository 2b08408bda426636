package eddy

// engine moves a file's bytes. Each backend has one.
//
// A transfer is one system call's worth: it may move less than asked for. A
// read that moves nothing without an error has found the end of the file.
// Errors are bare (an errno, os.ErrClosed, ErrShutdown); the File wraps them.
type engine interface {
	// transfer does it with the caller's memory and returns when it has ended.
	transfer(t transfer) (int, error)

	// abandonable does it with memory of its own, and returns when it has
	// ended or one of the stops has come. In the latter case the operation
	// goes on by itself, holding a reference to the file until it ends.
	abandonable(t transfer, s *stops) (int, error)

	// batch does what is left of the pieces as if transfer, or abandonable, had
	// been called for each, all at once.
	batch(b *batch, s *stops)

	// open opens a file, or returns when one of the stops has come. Its errors
	// are os.OpenFile's.
	open(d *Driver, o opening, s *stops) (*File, error)
}

// transfer is one read, write or sync.
type transfer struct {
	file *File
	kind transferKind
	p    []byte
	off  int64 // atCursor for the file's own offset
}

type transferKind uint8

const (
	kindRead transferKind = iota
	kindWrite
	kindSync

	kinds = iota // how many there are
)

// String is the kernel's word for it.
func (k transferKind) String() string { return [...]string{"read", "write", "fsync"}[k] }

// atCursor as an offset stands for the file's own, which moves.
const atCursor = -1

const (
	// maxTransfer is the most a single system call is asked to move; Linux
	// moves at most 0x7ffff000 bytes, and some systems fail above 1<<31-1.
	maxTransfer = 1 << 30

	// maxOwned is the most an abandonable transfer moves at once, since it has
	// to be copied, but for appending.
	maxOwned = 1 << 20
)
