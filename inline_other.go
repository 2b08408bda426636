//go:build !linux

package eddy

const inlineStart = 0

func (f *File) inline([]byte, int64) int { return 0 }
