package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"github.com/eddyio/eddy"
)

// fileWorker reads and writes a file of its own, and reads one that all of its
// setting share.
type fileWorker struct {
	s      *soak
	set    *setting
	rng    *rand.Rand
	name   string
	flag   int // O_DIRECT or 0
	file   *eddy.File
	shared *eddy.File
	region region

	readDeadline, writeDeadline deadline
	scratch                     [blockSize]byte
	left                        [4][]byte // buffers of some operations that have ended, full of canaries
}

func (s *soak) startFiles() error {
	for i := range s.o.files {
		set := s.settings[i%len(s.settings)]
		shared := filepath.Join(s.dir.name, "shared-"+set.name)
		if i < len(s.settings) {
			if err := createShared(shared, set); err != nil {
				return err
			}
		}
		w := &fileWorker{s: s, set: set, rng: rand.New(rand.NewPCG(s.o.seed, uint64(i)))}
		w.name = filepath.Join(s.dir.name, fmt.Sprintf("own-%d", i))
		w.region.id = uint64(i)
		if i/len(s.settings)%2 == 1 {
			w.flag = syscall.O_DIRECT
		}
		if err := w.region.create(w.name); err != nil {
			return err
		}
		if err := w.open(shared); err != nil {
			return err
		}
		s.worker(fmt.Sprintf("file %d of %s", i, set.name), w.run)
	}
	return nil
}

func (w *fileWorker) open(shared string) (err error) {
	if w.shared == nil {
		if w.shared, err = w.set.d.OpenFile(shared, os.O_RDONLY|w.flag, 0); err != nil {
			if w.flag != 0 && errors.Is(err, syscall.EINVAL) {
				return fmt.Errorf("%w: the file system has no O_DIRECT, -dir can name another", err)
			}
			return err
		}
	}
	if w.file, err = w.set.d.OpenFile(w.name, os.O_RDWR|w.flag, 0); err != nil {
		return err
	}
	w.readDeadline, w.writeDeadline = deadline{}, deadline{}
	// Whoever gets the lock later knows that this open file is gone.
	return syscall.Flock(int(w.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func (w *fileWorker) run(p *pulse) {
	for i := range w.left {
		w.left[i] = w.buffer(2 * blockSize) // so that they need not be filled at first
	}
	for !w.s.stopping() {
		p.beat()
		w.set.files.Add(1)
		w.s.mistake.leakMemory()
		switch k := w.rng.IntN(100); {
		case k < 30:
			w.read()
		case k < 45:
			w.readShared()
		case k < 65:
			w.write()
		case k < 85:
			w.readBatch()
		case k < 92:
			w.moveDeadlines()
		case k < 96:
			if w.rng.IntN(16) == 0 { // a disk does not take many
				w.sync()
			}
		default:
			if w.rng.IntN(8) == 0 || w.region.unsettled() {
				w.settle()
			}
		}
		if w.rng.IntN(8) == 0 {
			w.s.pause(time.Duration(w.rng.IntN(20)) * time.Millisecond)
		}
	}
	w.settle()
	w.close(w.file)
	w.close(w.shared)
	for i := range w.left {
		w.inspect(i)
	}
}

func (w *fileWorker) close(f *eddy.File) {
	if err := f.Close(); err != nil {
		w.unexpected("close", err)
	}
}

func (w *fileWorker) unexpected(op string, err error) {
	w.s.add("unexpected error", "%s: %s %s: %v", w.set.name, op, filepath.Base(w.name), err)
}

// ended judges whether an operation has ended as it had to.
func (w *fileWorker) ended(op string, e ending, err error) {
	switch {
	case err == nil && e.forbids():
		w.s.add("not ended", "%s: %s after its deadline or context", w.set.name, op)
	case err == nil:
	case !e.explains(err):
		w.unexpected(op, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.s.counts.deadlines.Add(1)
	default:
		w.s.counts.cancelled.Add(1)
	}
}

// span chooses a part of a file to read.
func (w *fileWorker) span(blocks int) (off int64, n int) {
	count := 1
	if w.rng.IntN(4) == 0 {
		count = 1 + w.rng.IntN(8)
	}
	first := w.rng.IntN(blocks - count + 1)
	off, n = int64(first)*blockSize, count*blockSize
	if w.flag == 0 && w.rng.IntN(2) == 0 { // anything goes
		cut := w.rng.IntN(n)
		return off + int64(cut), 1 + w.rng.IntN(n-cut)
	}
	return off, n
}

// buffer is memory for an operation, full of canaries.
func (w *fileWorker) buffer(n int) []byte {
	p := aligned(n)
	fillCanary(p)
	return p
}

// leave keeps a buffer whose operation has ended, to see later whether
// somebody has written to it.
func (w *fileWorker) leave(p []byte) {
	i := w.rng.IntN(len(w.left))
	w.inspect(i)
	fillCanary(p)
	w.left[i] = p
	w.s.mistake.touchBuffer(p)
}

func (w *fileWorker) inspect(i int) {
	if at := disturbed(w.left[i]); at >= 0 {
		w.s.corruption(1, "%s: byte %d of a buffer was written to after its read had returned", w.set.name, at)
	}
	w.left[i] = nil
}

func (w *fileWorker) read() {
	off, n := w.span(regionBlocks)
	p := w.buffer(n)
	e := never
	var err error
	if w.rng.IntN(2) == 0 {
		e.deadline = w.readDeadline
		n, err = w.file.ReadAt(p, off)
	} else {
		e = randomEnding(w.rng, 2*time.Millisecond)
		e.deadline = w.readDeadline
		n, err = w.file.ReadAtContext(e.ctx, p, off)
	}
	w.verify("read", p, off, n, err, e, w.differ)
	e.cancel()
}

func (w *fileWorker) readShared() {
	off, n := w.span(sharedBlocks)
	p := w.buffer(n)
	e := randomEnding(w.rng, 2*time.Millisecond)
	n, err := w.shared.ReadAtContext(e.ctx, p, off)
	w.verify("read of the shared file", p, off, n, err, e, w.differShared)
	e.cancel()
}

func (w *fileWorker) differ(p []byte, off int64) (int, string) { return w.region.differ(p, off) }

func (w *fileWorker) differShared(p []byte, off int64) (int, string) {
	want := sharedStream(w.set)
	wrong, first := want.differ(p, off, w.scratch[:])
	if wrong == 0 {
		return 0, ""
	}
	return wrong, want.excerpt(p, off, first)
}

// verify judges a read: n bytes of p are the file's, and nobody touches p any more.
func (w *fileWorker) verify(op string, p []byte, off int64, n int, err error, e ending, differ func([]byte, int64) (int, string)) {
	w.ended(op, e, err)
	if n < 0 || n > len(p) || n < len(p) && err == nil {
		w.s.add("wrong count", "%s: %s of %d bytes has read %d, %v", w.set.name, op, len(p), n, err)
		return
	}
	w.s.counts.fileBytes.Add(uint64(n))
	if wrong, what := differ(p[:n], off); wrong > 0 {
		w.s.corruption(wrong, "%s: %s of %s at %d, %d bytes: %s", w.set.name, op, filepath.Base(w.name), off, n, what)
	}
	if err != nil || w.rng.IntN(16) == 0 {
		w.leave(p)
	}
}

func (w *fileWorker) readBatch() {
	reads := make([]eddy.BatchRead, 1+w.rng.IntN(8))
	f, blocks, differ := w.file, regionBlocks, w.differ
	e := randomEnding(w.rng, 2*time.Millisecond)
	e.deadline = w.readDeadline
	if w.rng.IntN(2) == 0 {
		f, blocks, differ = w.shared, sharedBlocks, w.differShared
		e.deadline = deadline{}
	}
	for i := range reads {
		off, n := w.span(blocks)
		reads[i] = eddy.BatchRead{Buf: w.buffer(n), Off: off}
	}
	first := f.ReadBatch(e.ctx, reads)
	for i := range reads {
		r := &reads[i]
		if r.Err != nil && first == nil {
			w.s.add("wrong count", "%s: a batch without an error has one: %v", w.set.name, r.Err)
		}
		w.verify("batch", r.Buf, r.Off, r.N, r.Err, e, differ)
	}
	e.cancel()
}

func (w *fileWorker) write() {
	if w.region.unsettled() {
		w.settle()
	}
	blocks := 1 + w.rng.IntN(4)
	first := w.rng.IntN(regionBlocks - blocks + 1)
	p := aligned(blocks * blockSize)
	generation := w.region.prepare(p, first)
	w.s.mistake.corruptWrite(p)
	e := never
	var n int
	var err error
	off := int64(first) * blockSize
	switch w.rng.IntN(3) {
	case 0:
		n, err = w.file.WriteAt(p, off)
	case 1:
		e = randomEnding(w.rng, 2*time.Millisecond)
		n, err = w.file.WriteAtContext(e.ctx, p, off)
	default:
		e = randomEnding(w.rng, 2*time.Millisecond)
		n, err = w.writeBatch(e.ctx, p, off)
	}
	e.deadline = w.writeDeadline
	// If anybody still reads from p, canaries will be in the file.
	fillCanary(p)
	w.ended("write", e, err)
	if n < 0 || n > len(p) || n < len(p) && err == nil {
		w.s.add("wrong count", "%s: write of %d bytes has written %d, %v", w.set.name, len(p), n, err)
	}
	e.cancel()
	w.s.counts.doubts.Add(uint64(w.region.written(first, blocks, n, generation, err != nil)))
}

// writeBatch writes a block at a time, last block first, and counts those before
// the first that was not written.
func (w *fileWorker) writeBatch(ctx context.Context, p []byte, off int64) (n int, err error) {
	writes := make([]eddy.BatchWrite, len(p)/blockSize)
	for i := range writes {
		at := len(p) - (i+1)*blockSize
		writes[i] = eddy.BatchWrite{Buf: p[at : at+blockSize], Off: off + int64(at)}
	}
	err = w.file.WriteBatch(ctx, writes)
	for i := len(writes) - 1; i >= 0; i-- {
		if n += writes[i].N; writes[i].N < blockSize {
			break
		}
	}
	return n, err
}

func (w *fileWorker) sync() {
	e := randomEnding(w.rng, 10*time.Millisecond)
	e.deadline = w.writeDeadline
	w.ended("sync", e, w.file.SyncContext(e.ctx))
	e.cancel()
}

// moveDeadlines sets one, in the past or soon, or takes both away.
func (w *fileWorker) moveDeadlines() {
	var t time.Time
	if w.rng.IntN(3) == 0 {
		t = time.Now().Add(time.Duration(w.rng.IntN(5)-1) * time.Millisecond)
	}
	d := deadlineAt(t)
	var err error
	switch {
	case t.IsZero():
		err = w.file.SetDeadline(t)
		w.readDeadline, w.writeDeadline = d, d
	case w.rng.IntN(2) == 0:
		err = w.file.SetReadDeadline(t)
		w.readDeadline = d
	default:
		err = w.file.SetWriteDeadline(t)
		w.writeDeadline = d
	}
	if err != nil {
		w.unexpected("set deadline", err)
	}
}

// aligned is memory that O_DIRECT takes.
func aligned(size int) []byte {
	whole := make([]byte, size+blockSize)
	// SAFETY: the address is only looked at; heap objects do not move.
	start := -int(uintptr(unsafe.Pointer(unsafe.SliceData(whole)))) & (blockSize - 1)
	return whole[start : start+size : start+size]
}
