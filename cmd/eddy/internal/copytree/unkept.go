package copytree

import (
	"errors"
	"syscall"
)

// An UnkeptError says that a copy is complete but that its file system refused the source's mode or times.
type UnkeptError struct{ err error }

func (e *UnkeptError) Error() string {
	return "copied, but not with its mode and times: " + e.err.Error()
}
func (e *UnkeptError) Unwrap() error { return e.err }

// kept decides what the error of a chmod or utimensat means. A file system without modes or times of its own answers
// EPERM or ENOTSUP (chmod(2); mount options of vfat and cifs), and so does a directory of somebody else's that is copied
// into. That is unkept if it had to be kept, and otherwise left alone. Other errors say that something is wrong with the
// file.
func (c *copier) kept(err error) (unkept, other error) {
	switch refused := errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported); {
	case err == nil || refused && !c.opts.MustKeep:
		return nil, nil
	case refused:
		return &UnkeptError{err}, nil
	}
	return nil, err
}

// earlier is the first of the two errors that is one.
func earlier(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
