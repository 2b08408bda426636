package eddy

import (
	"context"
	"os"
	"sync"
)

// BatchRead is one read of a [File.ReadBatch]. The caller sets Buf and Off;
// ReadBatch sets N and Err.
type BatchRead struct {
	Buf []byte // the buffer to fill
	Off int64  // the offset in the file, in bytes

	N   int   // set by ReadBatch: how many bytes were read
	Err error // set by ReadBatch: why Buf was not filled; io.EOF at the end of the file
}

// BatchWrite is one write of a [File.WriteBatch]. The caller sets Buf and Off;
// WriteBatch sets N and Err.
type BatchWrite struct {
	Buf []byte // the data
	Off int64  // the offset in the file, in bytes

	N   int   // set by WriteBatch: how many bytes were written
	Err error // set by WriteBatch: why that is not all of Buf
}

// ReadBatch performs many reads at once and returns when all of them have
// ended. It sets N and Err of each, and returns the first Err in the order of
// the slice, or nil if every Buf was filled. The order in which the reads are
// done is not defined. On the ring a batch costs little more than one read.
//
// If ctx ends, or the read deadline passes, the reads that have not ended by
// then get ctx.Err() or os.ErrDeadlineExceeded, each in an *fs.PathError, and
// no Buf is written to any more. The buffers must not overlap.
func (f *File) ReadBatch(ctx context.Context, reads []BatchRead) error {
	b := newBatch(f, kindRead)
	for i := range reads {
		b.pieces = append(b.pieces, (*piece)(&reads[i]))
	}
	return b.run(ctx)
}

// WriteBatch performs many writes at once and returns when all of them have
// ended. It sets N and Err of each, and returns the first Err in the order of
// the slice, or nil if every Buf was written. The order in which the writes are
// done is not defined, so that where two of them overlap, the file has the data
// of either, or some of both. When it returns, the data is where WriteAt would
// have left it: [File.Sync] brings it to the device. It fails for files opened
// with os.O_APPEND.
//
// It is for files opened with O_DIRECT, where a batch on the ring costs little
// more than one write. Writes to the page cache are copies: if ctx cannot end and
// there is no deadline, they are plain calls, one after the other.
//
// If ctx ends, or the write deadline passes, the writes that have not ended by
// then get ctx.Err() or os.ErrDeadlineExceeded, each in an *fs.PathError. No Buf
// is read any more, but the kernel may still write what it was given, as with
// [File.WriteAtContext].
func (f *File) WriteBatch(ctx context.Context, writes []BatchWrite) error {
	b := newBatch(f, kindWrite)
	for i := range writes {
		b.pieces = append(b.pieces, (*piece)(&writes[i]))
	}
	return b.run(ctx)
}

// piece is a BatchRead or a BatchWrite, which have the same fields.
type piece BatchRead

// unfinished tells whether there is something left to do for the piece.
func (p *piece) unfinished() bool { return p.Err == nil && p.N < len(p.Buf) }

// batch is the pieces of one ReadBatch or WriteBatch.
type batch struct {
	file   *File
	kind   transferKind
	pieces []*piece
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch(f *File, k transferKind) *batch {
	b := batches.Get().(*batch)
	b.file, b.kind = f, k
	return b
}

// free empties the batch for its next use.
func (b *batch) free() {
	clear(b.pieces)
	b.file, b.pieces = nil, b.pieces[:0]
	batches.Put(b)
}

// run does all pieces, says of each what became of it, and frees the batch.
func (b *batch) run(ctx context.Context) error {
	defer b.free()
	f := b.file
	if f != nil && f.appends && b.kind == kindWrite {
		return b.refuse(errWriteAtInAppendMode) // as os: without a PathError
	}
	if err := f.acquire(b.kind.String()); err != nil {
		return b.refuse(err)
	}
	defer f.release()
	s, err := f.stops(ctx, b.deadline())
	if err != nil {
		return b.refuse(f.fail(b.kind.String(), err))
	}
	b.refuse(nil) // nothing has failed yet
	if f.kind == kindStream {
		b.spread(s)
	} else if b.begin() {
		f.d.engine.batch(b, s)
	}
	return b.conclude()
}

// refuse makes every piece look as if nothing had been done of it and it had
// failed with err, which it returns.
func (b *batch) refuse(err error) error {
	for _, p := range b.pieces {
		p.N, p.Err = 0, err
	}
	return err
}

func (b *batch) deadline() *deadline {
	if b.kind == kindWrite {
		return &b.file.writeDeadline
	}
	return &b.file.readDeadline
}

// begin takes what the page cache has, and tells whether anything is left for the
// engine.
func (b *batch) begin() (left bool) {
	f := b.file
	for _, p := range b.pieces {
		if p.Off < 0 {
			p.Err = &os.PathError{Op: b.kind.String() + "at", Path: f.name, Err: errNegativeOffset}
			continue
		}
		if b.kind == kindRead && f.kind == kindDisk && len(p.Buf) > 0 {
			p.N = f.inline(p.Buf, p.Off)
		}
		left = left || p.unfinished()
	}
	return left
}

// conclude names the errors as the File's methods do, and returns the first.
func (b *batch) conclude() (first error) {
	for _, p := range b.pieces {
		p.Err = b.file.fail(b.kind.String(), p.Err)
		if first == nil {
			first = p.Err
		}
	}
	return first
}

// rest is what is left to do of a piece.
func (b *batch) rest(p *piece) transfer {
	return transfer{b.file, b.kind, p.Buf[p.N:], p.Off + int64(p.N)}
}

// isCopy tells whether the pieces are written to the page cache, which keeps a
// processor busy and takes turns at the file: there is nothing to be had from
// doing them at once.
func (b *batch) isCopy() bool { return b.kind == kindWrite && b.file.kind == kindDisk }

// spreadWidth is how many pieces of a batch are under way at once where each
// occupies a thread.
const spreadWidth = 16

// spread does what is left of the pieces as ReadAt and WriteAt do, on a few
// goroutines.
func (b *batch) spread(s *stops) {
	if s == nil && b.isCopy() {
		for _, p := range b.pieces {
			b.finish(p, s)
		}
		return
	}
	left := 0
	for _, p := range b.pieces {
		if p.unfinished() {
			left++
		}
	}
	next := make(chan *piece)
	var workers sync.WaitGroup
	for range min(spreadWidth, left) {
		workers.Go(func() {
			for p := range next {
				b.finish(p, s)
			}
		})
	}
	for _, p := range b.pieces {
		if p.unfinished() {
			next <- p
		}
	}
	close(next)
	workers.Wait()
}

// over is why not to begin with a further piece, or nil.
func (b *batch) over(s *stops) error {
	switch {
	case s != nil:
		return s.reason()
	case b.file.d.down.Load():
		return ErrShutdown
	default:
		return nil
	}
}

// finish does what is left of a piece.
func (b *batch) finish(p *piece, s *stops) {
	if !p.unfinished() {
		return
	}
	if p.Err = b.over(s); p.Err != nil {
		return
	}
	f, t := b.file, b.rest(p)
	var n int
	switch {
	case f.kind != kindStream:
		n, p.Err = f.move(t, s)
	case b.kind == kindRead:
		n, p.Err = f.file.ReadAt(t.p, t.off)
	default:
		n, p.Err = f.file.WriteAt(t.p, t.off)
	}
	p.N += n
}
