package main

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/kernels"
)

// kernelLog is /dev/kmsg, from where the tests began.
type kernelLog struct{ fd int }

func openKernelLog() (*kernelLog, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	_, err = unix.Seek(fd, 0, unix.SEEK_END)
	return &kernelLog{fd}, err
}

// signs are what the kernel's own complaints contain.
var signs = []string{"WARNING:", "BUG:", "Oops", "Out of memory", "general protection", "refcount_t"}

// tell tells what the kernel has complained about since.
func (l *kernelLog) tell() {
	record := make([]byte, 8192)
	for {
		n, err := unix.Read(l.fd, record)
		if err == unix.EPIPE { // overwritten before it was read
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		_, text, _ := bytes.Cut(record[:n], []byte(";"))
		line, _, _ := strings.Cut(string(text), "\n")
		for _, sign := range signs {
			if strings.Contains(line, sign) {
				say(kernels.WordKernel, line)
				break
			}
		}
	}
}
