package eddy

import (
	"context"
	"io/fs"
	"os"
)

// OpenFileContext is OpenFile that ends when ctx does, even if the file system
// never answers, or, for a FIFO, if nobody opens the other end. What is opened
// after that is closed again; a file that O_CREATE or O_TRUNC was to make or
// empty may yet be.
func (d *Driver) OpenFileContext(ctx context.Context, name string, flag int, perm fs.FileMode) (*File, error) {
	if ctx.Done() == nil {
		return d.OpenFile(name, flag, perm)
	}
	err := ctx.Err()
	if err == nil && d.down.Load() {
		err = ErrShutdown
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := d.engine.open(d, opening{name, flag, perm}, &stops{ctx: ctx, down: d.ended})
	if err != nil {
		return nil, err
	}
	return d.newFile(f), nil
}

// OpenFileContext is Driver.OpenFileContext on Default.
func OpenFileContext(ctx context.Context, name string, flag int, perm fs.FileMode) (*File, error) {
	return Default().OpenFileContext(ctx, name, flag, perm)
}

// opening is the arguments of open(2).
type opening struct {
	name string
	flag int
	perm fs.FileMode
}

// offloadOpen opens on a goroutine of its own, which closes the file if its
// caller has left.
func offloadOpen(d *Driver, o opening, s *stops) (*os.File, error) {
	var f *os.File
	var err error
	done := make(chan struct{})
	d.metrics.offloaded.Add(1)
	go func() {
		defer close(done)
		f, err = os.OpenFile(o.name, o.flag, o.perm)
	}()
	if stopped := s.wait(done); stopped != nil {
		d.metrics.abandoned.Add(1)
		go func() {
			if <-done; err == nil {
				f.Close()
			}
		}()
		return nil, &fs.PathError{Op: "open", Path: o.name, Err: stopped}
	}
	return f, err
}
