package eddy

import (
	"context"
	"io/fs"
	"os"
)

// OpenFileContext is [Driver.OpenFile], except that it also returns when ctx
// ends, even if the file system never answers or, for a FIFO, if nobody opens
// the other end. The error is then an *fs.PathError around ctx.Err(). If the
// file is opened after that, it is closed again; but if flag has os.O_CREATE or
// os.O_TRUNC, it may still be created or truncated.
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
	return d.engine.open(d, opening{name, flag, perm}, &stops{ctx: ctx, down: d.ended})
}

// OpenFileContext calls [Driver.OpenFileContext] on the default driver.
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
func offloadOpen(d *Driver, o opening, s *stops) (*File, error) {
	work := &offloaded{op: "openat", name: o.name}
	var f *os.File
	var err error
	stopped := d.offload(work, s, func() { f, err = os.OpenFile(o.name, o.flag, o.perm) }, func() {
		if err == nil {
			f.Close()
		}
	})
	if stopped != nil {
		return nil, &fs.PathError{Op: "open", Path: o.name, Err: stopped}
	}
	d.offloads.leave(work)
	if err != nil {
		return nil, err
	}
	return d.newFile(f, o.flag), nil
}
