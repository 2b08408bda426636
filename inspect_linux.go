package eddy

import "golang.org/x/sys/unix"

// inspect finds out what kind of file it is, once. A descriptor that os.File
// could put in its poller is non-blocking and stays os.File's to wait for.
func (f *File) inspect() {
	f.kind, f.fd = kindStream, -1
	conn, err := f.file.SyscallConn()
	if err != nil {
		return
	}
	// An error leaves a file that os.File looks after in every respect.
	_ = conn.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			return
		}
		f.appends = flags&unix.O_APPEND != 0
		var stat unix.Stat_t
		if unix.Fstat(int(fd), &stat) != nil {
			return
		}
		switch stat.Mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFBLK, unix.S_IFDIR:
			f.kind, f.fd = kindDisk, int(fd)
			if flags&unix.O_DIRECT != 0 {
				f.kind = kindDirect
			}
		}
	})
}
