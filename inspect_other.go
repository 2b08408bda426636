//go:build !linux

package eddy

import "os"

// traits is what a File's kind leaves open: nothing.
type traits struct{}

func (f *File) bare(fd uintptr) uintptr { return fd }

func (f *File) isBare() bool { return false }

// inspect finds out whether it is a file with offsets: those have deadlines of
// our own, the others have os.File's.
func (f *File) inspect(flags int) {
	f.fd = -1
	f.appends = flags != unknownFlags && flags&os.O_APPEND != 0
	info, err := f.file.Stat()
	if err == nil && (info.Mode().IsRegular() || info.IsDir()) {
		f.kind = kindDisk
		return
	}
	f.kind = kindStream
}
