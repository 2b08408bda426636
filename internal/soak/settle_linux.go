package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// settle closes the worker's file, waits until the last operation that was left
// behind has let go of it, looks at what has become of the content, writes what
// was in doubt anew, and opens it again.
func (w *fileWorker) settle() {
	w.s.counts.reopened.Add(1)
	done := w.readWhileClosing()
	w.close(w.file)
	<-done
	if err := w.awaitRelease(); err != nil {
		w.unexpected("settle", err)
	}
	content, err := os.ReadFile(w.name)
	if err != nil || len(content) != regionBlocks*blockSize {
		w.s.add("wrong count", "%s: %s has %d bytes, %v", w.set.name, filepath.Base(w.name), len(content), err)
		return
	}
	w.s.counts.fileBytes.Add(uint64(len(content)))
	if wrong, what := w.region.differ(content, 0); wrong > 0 {
		w.s.corruption(wrong, "%s: content of %s when nobody had it open: %s", w.set.name, filepath.Base(w.name), what)
	}
	if err := w.open(""); err != nil {
		w.unexpected("open", err)
		return
	}
	for i := range w.region.blocks {
		if len(w.region.blocks[i].doubts) > 0 {
			w.rewrite(i)
		}
	}
}

// rewrite ends the doubts about a block.
func (w *fileWorker) rewrite(i int) {
	p := aligned(blockSize)
	generation := w.region.prepare(p, i)
	n, err := w.file.WriteAt(p, int64(i)*blockSize)
	if err != nil || n != len(p) {
		w.unexpected("write", err)
		return
	}
	w.region.blocks[i].doubts = nil
	w.region.written(i, 1, n, generation, false)
}

// readWhileClosing has somebody inside a read when the file is closed, now and then.
func (w *fileWorker) readWhileClosing() <-chan struct{} {
	done := make(chan struct{})
	if w.rng.IntN(2) == 0 {
		close(done)
		return done
	}
	f, deadline := w.file, w.readDeadline
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	inside := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		p := aligned(blockSize)
		close(inside)
		n, err := f.ReadAtContext(ctx, p, 0)
		switch {
		case err == nil && n == len(p), errors.Is(err, fs.ErrClosed), ending{ctx: ctx, deadline: deadline}.explains(err):
		default:
			w.unexpected("read during close", err)
		}
	}()
	<-inside
	return done
}

// awaitRelease waits until the open file of before is gone: the lock it had goes
// with its last reference, flock(2).
func (w *fileWorker) awaitRelease() error {
	f, err := os.Open(w.name)
	if err != nil {
		return err
	}
	defer f.Close()
	limit, cancel := patient(patience)
	defer cancel()
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		if limit.Err() != nil {
			return errors.New("an open file outlives its close")
		}
		time.Sleep(wait)
	}
}
