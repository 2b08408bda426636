package eddy

import (
	"context"
	"errors"
	"io"
	"os"
)

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
	abandonable(t transfer, s stops) (int, error)

	// batch does reads as if transfer, or abandonable, had been called for
	// each, all at once.
	batch(f *File, reads []BatchRead, s *stops)

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

// stops is what can end the wait for an operation.
type stops struct {
	ctx  context.Context
	over <-chan struct{} // the deadline has passed
	gone <-chan struct{} // the file was closed
	down <-chan struct{} // the driver was shut down
}

// reason is why to stop, or nil.
func (s *stops) reason() error {
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-s.over:
		return os.ErrDeadlineExceeded
	case <-s.gone:
		return os.ErrClosed
	case <-s.down:
		return ErrShutdown
	default:
		return nil
	}
}

// wait blocks until done yields, and returns nil, or until there is a reason
// to stop.
func (s *stops) wait(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-s.over:
		return os.ErrDeadlineExceeded
	case <-s.gone:
		return os.ErrClosed
	case <-s.down:
		return ErrShutdown
	}
}

// stops are those of a call with this context under this deadline, or nil if
// nothing can ever stop it.
func (f *File) stops(ctx context.Context, d *deadline) *stops {
	over := d.wait()
	if over == nil && ctx.Done() == nil {
		return nil
	}
	return &stops{ctx: ctx, over: over, gone: f.gone, down: f.d.ended}
}

// move repeats transfers until p is through, and returns how much that was.
// The caller holds a reference.
func (f *File) move(t transfer, s *stops) (n int, err error) {
	p, most := t.p, maxTransfer
	if s != nil && !(t.off == atCursor && t.file.appends) { // records of several writers would get mixed up
		most = maxOwned
	}
	for len(p) > 0 {
		t.p = p[:min(len(p), most)]
		var m int
		if s == nil {
			m, err = f.d.engine.transfer(t)
		} else if err = s.reason(); err == nil {
			m, err = f.d.engine.abandonable(t, *s)
		}
		n += m
		p = p[m:]
		if t.off != atCursor {
			t.off += int64(m)
		}
		switch {
		case err != nil:
			return n, err
		case m == 0 && t.kind == kindRead:
			return n, io.EOF
		case m == 0:
			return n, io.ErrUnexpectedEOF
		case t.off == atCursor && t.kind == kindRead:
			return n, nil // Read returns what one call gives
		}
	}
	return n, nil
}

var errNegativeOffset = errors.New("negative offset")

var errWriteAtInAppendMode = errors.New("os: invalid use of WriteAt on file opened with O_APPEND")
