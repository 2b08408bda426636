package leaktest

import (
	"fmt"
	"os"
	"strconv"
)

// openFds reads /proc/self/fd, see proc_pid_fd(5).
func openFds() map[int]string {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	fds := make(map[int]string, len(names))
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || uintptr(fd) == dir.Fd() {
			continue
		}
		link, err := os.Readlink("/proc/self/fd/" + name)
		if err != nil {
			link = fmt.Sprint(err)
		}
		fds[fd] = link
	}
	return fds
}
