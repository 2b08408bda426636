//go:build unix

package copytree

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// directoriesSync says that an fsync of a directory makes its entries durable.
const directoriesSync = true

// sameFile says whether both are of one file. os.SameFile knows only its own FileInfo.
func sameFile(a, b fs.FileInfo) bool {
	if os.SameFile(a, b) {
		return true
	}
	x, ok := a.Sys().(*syscall.Stat_t)
	y, also := b.Sys().(*syscall.Stat_t)
	return ok && also && x.Dev == y.Dev && x.Ino == y.Ino
}

// linkTimes gives the symbolic link at path the times in info. utimensat(2), AT_SYMLINK_NOFOLLOW.
func linkTimes(path string, info fs.FileInfo) error {
	modified, err := unix.TimeToTimespec(info.ModTime())
	if err != nil {
		return nil // a time that this system cannot hold
	}
	accessed, err := unix.TimeToTimespec(accessTime(info))
	if err != nil {
		return nil
	}
	err = unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{accessed, modified}, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return &fs.PathError{Op: "utimensat", Path: path, Err: err}
	}
	return nil
}

func isInvalid(err error) bool { return errors.Is(err, syscall.EINVAL) }
