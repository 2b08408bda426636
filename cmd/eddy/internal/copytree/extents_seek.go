//go:build linux || freebsd || darwin

package copytree

import (
	"errors"
	"io/fs"
	"iter"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// extents yields the parts of in that hold data, in order, up to the size in info. A file system that cannot tell
// yields the whole file. See lseek(2), "Seeking file data and holes": a file system may report a hole as data, never
// the other way round. The file's own offset moves; nothing here uses it.
func extents(in *eddy.File, info fs.FileInfo) iter.Seq2[extent, error] {
	size := info.Size()
	return func(yield func(extent, error) bool) {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Blocks*512 >= size {
			yield(extent{0, size}, nil)
			return
		}
		for at := int64(0); at < size; {
			e, err := nextExtent(in, at, size)
			if err != nil || e.start >= size {
				if err != nil {
					yield(extent{}, err)
				}
				return
			}
			if !yield(e, nil) {
				return
			}
			at = e.end
		}
	}
}

// nextExtent finds the first data at or after at; without any, its start is size.
func nextExtent(in *eddy.File, at, size int64) (extent, error) {
	start, err := seek(in, at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, syscall.ENXIO): // only a hole is left
		return extent{size, size}, nil
	case isInvalid(err), errors.Is(err, errors.ErrUnsupported):
		return extent{at, size}, nil
	case err != nil:
		return extent{}, err
	}
	end, err := seek(in, start, unix.SEEK_HOLE)
	switch {
	case errors.Is(err, syscall.ENXIO): // it was cut off meanwhile: the read will say so
		return extent{at, size}, nil
	case err != nil:
		return extent{}, err
	}
	return extent{min(start, size), min(end, size)}, nil
}

func seek(in *eddy.File, off int64, whence int) (at int64, err error) {
	raw, err := in.SyscallConn()
	if err != nil {
		return 0, err
	}
	outer := raw.Control(func(fd uintptr) { at, err = unix.Seek(int(fd), off, whence) })
	return at, errors.Join(outer, wrapSeek(in, err))
}

func wrapSeek(in *eddy.File, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "seek", Path: in.Name(), Err: err}
}
