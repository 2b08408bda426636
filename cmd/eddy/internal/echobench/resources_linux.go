package echobench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// spareFiles is how many descriptors a process needs besides those of its connections.
const spareFiles = 64

// wantFiles sees to it that this process may have so many connections. Only root can raise the hard limit:
// getrlimit(2), RLIMIT_NOFILE.
func wantFiles(connections int) error {
	need := uint64(connections + spareFiles)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if limit.Cur >= need {
		return nil
	}
	wanted := unix.Rlimit{Cur: need, Max: max(limit.Max, need)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &wanted); err != nil {
		return fmt.Errorf("%d connections take more than the %d files that a process may open here (ulimit -n): %w",
			connections, limit.Max, os.NewSyscallError("setrlimit", err))
	}
	return nil
}

// residentMemory is what this process has in memory, in bytes. proc_pid_statm(5).
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
