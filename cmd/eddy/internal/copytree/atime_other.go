//go:build !linux

package copytree

import (
	"io/fs"
	"time"
)

// accessTime is the modification time: where the access time is found differs too much between systems to be worth
// it.
func accessTime(info fs.FileInfo) time.Time { return info.ModTime() }
