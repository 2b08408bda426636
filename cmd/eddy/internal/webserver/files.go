package webserver

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
)

// files is what is under a directory, and nothing else: os.Root follows no link and no ".." out of it, whatever is
// moved about meanwhile. It gives out *os.File itself and not something around it, for that is what sendfile(2) needs.
type files struct{ root *os.Root }

// errSpecial is the error of a file that is not to be read to its end: opening or reading it may wait for ever, or do
// something.
var errSpecial = &fs.PathError{Op: "open", Path: "special file", Err: fs.ErrPermission}

// Open implements http.FileSystem. A name begins with a slash.
func (f files) Open(name string) (http.File, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		name = "."
	}
	// Without O_NONBLOCK the open of a FIFO waits for somebody to write to it: fifo(7).
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, outcome(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = errSpecial
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// outcome turns the error of an open into one of the three that net/http tells apart: it is not there (404), it is
// not allowed (403), or the server has a problem (500). What is not there includes everything outside.
//
//	EACCES, EPERM                          403: fs.ErrPermission
//	ENOENT                                 404: fs.ErrNotExist
//	ENOTDIR, ENAMETOOLONG, ELOOP, EINVAL   404: no such name can be (EINVAL: a zero byte)
//	ENXIO, ENODEV                          404: a socket, or a device without a driver
//	no errno                               404: os.Root refused to leave the directory
//	the rest                               500: EMFILE, ENFILE, ENOMEM, EIO...
func outcome(err error) error {
	var errno syscall.Errno
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !errors.As(err, &errno) {
		return fs.ErrNotExist
	}
	switch errno {
	case syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.ENXIO, syscall.ENODEV:
		return fs.ErrNotExist
	}
	return err
}
