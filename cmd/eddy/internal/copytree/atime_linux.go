package copytree

import (
	"io/fs"
	"syscall"
	"time"
)

// accessTime is the time of the last read, as far as the file system keeps it.
func accessTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Atim.Unix())
	}
	return info.ModTime()
}
