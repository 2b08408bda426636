//go:build !linux

package filebench

import "os"

const directFlag = 0

// disk knows nothing about file systems here.
func disk(string) (Disk, error) { return Disk{Name: "file system", Free: 1 << 62}, nil }

func supportsDirect(string) bool { return false }

func dropCache(*os.File) {}
