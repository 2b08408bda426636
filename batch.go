package eddy

import (
	"context"
	"io"
	"os"
)

// BatchRead is one read of a [File.ReadBatch]. The caller sets Buf and Off;
// ReadBatch sets N and Err.
type BatchRead struct {
	Buf []byte // the buffer to fill
	Off int64  // the offset in the file, in bytes

	N   int   // set by ReadBatch: how many bytes were read
	Err error // set by ReadBatch: why Buf was not filled; io.EOF at the end of the file
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
	if err := f.acquire("read"); err != nil {
		return refuse(reads, err)
	}
	defer f.release()
	s, err := f.stops(ctx, &f.readDeadline)
	if err != nil {
		return refuse(reads, f.fail("read", err))
	}
	refuse(reads, nil)
	if f.kind == kindStream {
		spread(f, reads, s)
	} else {
		f.batch(reads, s)
	}
	var first error
	for i := range reads {
		r := &reads[i]
		if r.Err == nil && r.N < len(r.Buf) {
			r.Err = io.EOF
		}
		r.Err = f.fail("read", r.Err)
		if first == nil {
			first = r.Err
		}
	}
	return first
}

// refuse makes every read of a batch look as if it had read nothing and failed
// with err, which it returns.
func refuse(reads []BatchRead, err error) error {
	for i := range reads {
		reads[i].N, reads[i].Err = 0, err
	}
	return err
}

// batch takes what the page cache has and leaves the rest to the engine.
func (f *File) batch(reads []BatchRead, s *stops) {
	left := false
	for i := range reads {
		r := &reads[i]
		if r.Off < 0 {
			r.Err = &os.PathError{Op: "readat", Path: f.name, Err: errNegativeOffset}
			continue
		}
		if f.kind == kindDisk && len(r.Buf) > 0 {
			r.N = f.inline(r.Buf, r.Off)
		}
		left = left || r.unfinished()
	}
	if left {
		f.d.engine.batch(f, reads, s)
	}
}

// unfinished tells whether the engine has something to do for the read.
func (r *BatchRead) unfinished() bool { return r.Err == nil && r.N < len(r.Buf) }
