package eddy

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

func (plainEngine) open(d *Driver, o opening, s *stops) (*File, error) {
	return offloadOpen(d, o, s)
}

// open puts an openat(2) on the ring. The driver closes the descriptor of one
// whose caller has left.
func (e *ringEngine) open(d *Driver, o opening, s *stops) (*File, error) {
	fd, err := e.openOnRing(d, o, s)
	switch err {
	case nil:
		return d.newFileOf(fd, o)
	case errNotOnRing:
		return offloadOpen(d, o, s)
	default:
		return nil, &fs.PathError{Op: "open", Path: o.name, Err: err}
	}
}

func (e *ringEngine) openOnRing(d *Driver, o opening, s *stops) (fd int, err error) {
	if !e.has(uring.OpOpenat) || strings.IndexByte(o.name, 0) >= 0 {
		return 0, errNotOnRing
	}
	r := new(driver.Op)
	r.Name = o.name
	r.YieldsFd = true
	path := append([]byte(o.name), 0)
	r.Entry.PrepOpenat(unix.AT_FDCWD, &path[0], uint32(o.flag)|unix.O_CLOEXEC|unix.O_LARGEFILE, syscallMode(o.perm))
	// Without this the kernel tries a non-blocking open first, which opens a
	// FIFO that nobody writes to, as open(2) would not.
	r.Entry.Flags = uring.SQEAsync
	r.OwnBytes(path)
	d.metrics.owned.Add(1)
	if err := e.register(r); err != nil {
		return 0, err
	}
	if err := e.wait(r, s); err != nil {
		d.metrics.abandoned.Add(1)
		return 0, err
	}
	res, _ := r.Result()
	return outcome(res)
}

// newFileOf makes a file of a descriptor, as os.OpenFile would have made it: what
// can be polled is non-blocking, until Fd is called, and std's poller's.
func (d *Driver) newFileOf(fd int, o opening) (*File, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	unblocks := false
	if err == nil && o.flag&(unix.O_NONBLOCK|unix.O_PATH) == 0 { // fcntl(2) refuses to change what O_PATH opened
		switch stat.Mode & unix.S_IFMT {
		case unix.S_IFIFO, unix.S_IFCHR, unix.S_IFREG:
			unblocks = true
			err = unix.SetNonblock(fd, true)
		}
	}
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: o.name, Err: err}, unix.Close(fd))
	}
	std := os.NewFile(uintptr(fd), o.name)
	if unblocks && std.SetDeadline(time.Time{}) != nil { // it cannot be polled
		unblocks = false
		_ = unix.SetNonblock(fd, false) // as it was
	}
	f := d.newFile(std, o.flag)
	f.unblocks = unblocks
	return f, nil
}

// syscallMode is what package os makes of a FileMode.
func syscallMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, bit := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, unix.S_ISUID}, {fs.ModeSetgid, unix.S_ISGID}, {fs.ModeSticky, unix.S_ISVTX}} {
		if m&bit.mode != 0 {
			mode |= bit.bit
		}
	}
	return mode
}
