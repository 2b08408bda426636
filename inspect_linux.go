package eddy

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

// traits is what a File's kind leaves open.
type traits struct {
	blocks   atomic.Uint32 // of the blocks constants; see mayBlock
	unblocks bool          // it is non-blocking for std's poller's sake, unasked
	bared    atomic.Bool   // Fd has undone that
	nowait   atomic.Int32  // reads worth trying without waiting; see inline
}

const (
	blocksUnknown = iota // until the first request for a ring
	blocksNever
	blocksAtTimes
)

// bare is the descriptor as os.File.Fd gives it away: blocking, unless it was
// opened to be otherwise.
func (f *File) bare(fd uintptr) uintptr {
	if f.unblocks {
		f.bared.Store(true)
		_ = unix.SetNonblock(int(fd), false) // fcntl(2) on an open descriptor
	}
	return fd
}

func (f *File) isBare() bool { return f.bared.Load() }

// inspect finds out what kind of file it is, once. A descriptor that os.File
// could put in its poller is non-blocking and stays os.File's to wait for.
func (f *File) inspect(flags int) {
	f.kind, f.fd = kindStream, -1
	f.nowait.Store(inlineNever)
	if l, ok := f.d.system.(*linuxSystem); ok && l.inlines {
		f.nowait.Store(inlineStart)
	}
	conn, err := f.file.SyscallConn()
	if err != nil {
		return
	}
	// An error leaves a file that os.File looks after in every respect.
	_ = conn.Control(func(fd uintptr) {
		pollable := f.file.SetReadDeadline(time.Time{}) == nil
		if flags == unknownFlags || pollable { // in which case os.File has added O_NONBLOCK
			if flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil {
				return
			}
		}
		f.appends = flags&unix.O_APPEND != 0
		var stat unix.Stat_t
		if unix.Fstat(int(fd), &stat) != nil {
			return
		}
		switch stat.Mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFBLK, unix.S_IFDIR:
			if pollable && !isFUSE(int(fd)) {
				return // it may have to be waited for, like /proc/kmsg
			}
			f.kind, f.fd = kindDisk, int(fd)
			if flags&unix.O_DIRECT != 0 {
				f.kind = kindDirect
			}
			if flags&unix.O_NONBLOCK != 0 || flags&unix.O_ACCMODE == unix.O_WRONLY {
				f.blocks.Store(blocksAtTimes)
			}
			if flags&unix.O_NONBLOCK != 0 && unix.SetNonblock(int(fd), false) != nil {
				f.kind, f.fd = kindStream, -1 // to a ring the flag is a promise
			}
		}
	})
}

// isFUSE tells whether the file is FUSE's, which lets all its files be polled, and
// says of most that they are ready.
func isFUSE(fd int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && fs.Type == unix.FUSE_SUPER_MAGIC
}

// mayBlock tells whether requests of the file may block the thread that submits
// them to a ring, which must not try them then. It asks when the first one comes:
// few files that are opened have any.
//
// A ring first tries a request on the submitting thread, without waiting. For
// that it believes not only files that know how not to wait (FMODE_NOWAIT), but
// also those that poll(2) says are ready (io_uring/rw.c, io_file_supports_nowait),
// which FUSE says of every file, and O_NONBLOCK, which os.File sets on what it can
// poll. Neither keeps FUSE from waiting for its server, for ever if need be.
// preadv2(2) knows the difference: without FMODE_NOWAIT it is EOPNOTSUPP. What
// cannot be read is taken to block; that costs a hand-over to a kernel thread. The
// caller holds a reference.
func (f *File) mayBlock() bool {
	if known := f.blocks.Load(); known != blocksUnknown {
		return known == blocksAtTimes
	}
	const beyond = 1 << 60 // the end of any file: nothing is read
	var p [1]byte
	blocks := uint32(blocksNever)
	if _, errno := sys.ReadNowait(f.fd, p[:], beyond); errno == unix.EOPNOTSUPP {
		blocks = blocksAtTimes
	}
	f.blocks.Store(blocks)
	return blocks == blocksAtTimes
}
