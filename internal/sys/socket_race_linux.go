//go:build race

package sys

import "syscall"

// Receive is read(2) by std's own wrapper, which tells the race detector what
// the kernel writes, and that a write through it to the other end came before.
func Receive(fd int, p []byte) (int, syscall.Errno) {
	n, err := syscall.Read(fd, p)
	kernelWrote(nil) // what was sent by a call that std's wrapper does not know
	return max(n, 0), errnoOf(err)
}

// Send is write(2), likewise.
func Send(fd int, p []byte) (int, syscall.Errno) {
	kernelReads(nil)
	n, err := syscall.Write(fd, p)
	return max(n, 0), errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	errno, _ := err.(syscall.Errno)
	return errno
}
