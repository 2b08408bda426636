//go:build !unix

package copytree

import (
	"io/fs"
	"os"
)

// directoriesSync says that directories cannot be synced here.
const directoriesSync = false

func sameFile(a, b fs.FileInfo) bool { return os.SameFile(a, b) }

// linkTimes does nothing: the times of a symbolic link cannot be set here.
func linkTimes(string, fs.FileInfo) error { return nil }

func isInvalid(error) bool { return false }
