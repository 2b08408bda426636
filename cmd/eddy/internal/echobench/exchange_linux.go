package echobench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// begin sends a request on a connection that has none under way.
func (g *generator) begin(i int, now int64) error {
	c := &g.conns[i]
	c.began, c.unsent, c.missing = now, len(g.request), g.reply
	if !g.work.HTTP {
		c.number++
		tag(g.request, i, c.number)
	}
	return g.send(i, c)
}

// send sends what is unsent, as far as there is room, and arranges for the rest.
func (g *generator) send(i int, c *connection) error {
	for c.unsent > 0 {
		n, errno := rawWrite(c.fd, g.request[len(g.request)-c.unsent:])
		if errno == unix.EINTR {
			continue
		}
		if errno == unix.EAGAIN {
			break
		}
		if errno != 0 {
			return fmt.Errorf("connection %d: write: %w", i, errno)
		}
		if c.unsent == len(g.request) && n < len(g.request) && n < tagSize {
			return fmt.Errorf("connection %d: only %d bytes taken", i, n)
		}
		c.unsent -= n
	}
	if waiting := c.unsent > 0; waiting != c.waiting {
		c.waiting = waiting
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if waiting {
			event.Events |= unix.EPOLLOUT
		}
		if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_MOD, int(c.fd), &event); err != nil {
			return fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	return nil
}

// receive reads once. It reports whether the reply is complete.
func (g *generator) receive(i int, c *connection) (complete bool, err error) {
	if c.missing == 0 {
		return false, fmt.Errorf("connection %d: the server sends or leaves unasked", i)
	}
	n, errno := rawRead(c.fd, g.buf[:min(len(g.buf), c.missing)])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return false, nil
	case errno != 0:
		return false, fmt.Errorf("connection %d: read: %w", i, errno)
	case n == 0:
		return false, fmt.Errorf("connection %d: the server hung up", i)
	}
	if c.missing == g.reply {
		if err := g.check(i, c, g.buf[:n]); err != nil {
			return false, err
		}
	}
	c.missing -= n
	return c.missing == 0, nil
}

var errNotHTTP = errors.New("the reply is not HTTP with status 200")

// check looks at the beginning of a reply.
func (g *generator) check(i int, c *connection, reply []byte) error {
	if g.work.HTTP {
		const want = "HTTP/1.1 200"
		if len(reply) >= len(want) && string(reply[:len(want)]) != want {
			return errNotHTTP
		}
		return nil
	}
	var want [tagSize]byte
	tag(want[:], i, c.number)
	if n := min(len(reply), len(g.request), tagSize); string(reply[:n]) != string(want[:n]) {
		return fmt.Errorf("connection %d: the reply to request %d is %x and not %x", i, c.number, reply[:n], want[:n])
	}
	return nil
}

// tagSize is how many bytes of a request tell it from all others.
const tagSize = 8

func tag(request []byte, connection int, number uint32) {
	var t [tagSize]byte
	binary.LittleEndian.PutUint32(t[:], number)
	binary.LittleEndian.PutUint32(t[4:], uint32(connection))
	copy(request, t[:])
}

// rawRead is read(2) past the scheduler, for a descriptor that does not block.
func rawRead(fd int32, p []byte) (int, unix.Errno) {
	// SAFETY: the kernel writes to p during the call and not after; p is the caller's and live until it returns.
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

// rawWrite is write(2) past the scheduler, for a descriptor that does not block.
func rawWrite(fd int32, p []byte) (int, unix.Errno) {
	// SAFETY: the kernel reads p during the call and not after; p is the caller's and live until it returns.
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

// kernelTimespec is struct __kernel_timespec, which is the same on all architectures. linux/time_types.h.
type kernelTimespec struct{ seconds, nanoseconds int64 }

// wait waits for events for at most so many nanoseconds, past the scheduler: this process has nothing else to run.
// epoll_pwait2(2), Linux 5.11.
func (g *generator) wait(nanoseconds int64) (int, error) {
	nanoseconds = max(nanoseconds, 0)
	limit := kernelTimespec{nanoseconds / int64(time.Second), nanoseconds % int64(time.Second)}
	// SAFETY: the kernel reads limit and writes to events during the call and not after; both are live until it returns.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(g.epoll), uintptr(unsafe.Pointer(&g.events[0])),
		uintptr(len(g.events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS:
		return 0, errors.New("the load generator needs epoll_pwait2, which this kernel has not (Linux 5.11)")
	}
	return 0, fmt.Errorf("epoll_pwait2: %w", errno)
}
