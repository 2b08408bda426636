package uring

import (
	"math/bits"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is one mmap(2) of ours.
type mapping struct {
	base unsafe.Pointer
	size uintptr
}

// mapShared maps a part of the ring fd, or anonymous memory with fd -1, and
// keeps it out of forked children: they would write to our queues.
func mapShared(fd int, offset int64, size uintptr) (mapping, error) {
	flags := unix.MAP_SHARED | unix.MAP_POPULATE
	if fd < 0 {
		flags |= unix.MAP_ANONYMOUS
	}
	base, err := unix.MmapPtr(fd, offset, nil, size, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return mapping{}, err
	}
	m := mapping{base, size}
	// SAFETY: the bytes are the mapping's, which is ours until unmap.
	if err := unix.Madvise(unsafe.Slice((*byte)(base), size), unix.MADV_DONTFORK); err != nil {
		_ = m.unmap() // the madvise error is the one that matters
		return mapping{}, err
	}
	return m, nil
}

func (m mapping) unmap() error { return unix.MunmapPtr(m.base, m.size) }

func (r *Ring) unmapAll() {
	for _, m := range r.mappings {
		_ = m.unmap() // on the way out of a failed New, whose error is reported
	}
	r.mappings = nil
}

func (r *Ring) addMapping(fd int, offset int64, size uintptr) (unsafe.Pointer, error) {
	m, err := mapShared(fd, offset, size)
	if err != nil {
		return nil, err
	}
	r.mappings = append(r.mappings, m)
	return m.base, nil
}

// mapMemory maps the queues and the entries from the ring's descriptor:
// mappings[0] is the submission queue (with FeatSingleMmap the completion
// queue too), [1] the submission entries, [2] the completion queue if separate.
func (r *Ring) mapMemory(p *params) error {
	sqSize := uintptr(p.sqOff.array) + uintptr(p.sqEntries)*4
	cqSize := uintptr(p.cqOff.cqes) + uintptr(p.cqEntries)<<r.flags.cqeShift()
	single := r.features.Has(FeatSingleMmap)
	if single {
		sqSize = max(sqSize, cqSize)
	}
	if _, err := r.addMapping(r.fd, offsetSQRing, sqSize); err != nil {
		return err
	}
	if _, err := r.addMapping(r.fd, offsetSQEs, uintptr(p.sqEntries)<<r.flags.sqeShift()); err != nil {
		return err
	}
	if single {
		return nil
	}
	_, err := r.addMapping(r.fd, offsetCQRing, cqSize)
	return err
}

// queueHeader is room for the counters at the start of the queues' memory:
// the kernel needs five cache lines, the largest of which has 256 bytes.
const queueHeader = 2048

// provideMemory maps anonymous memory for SetupNoMmap and tells the kernel
// where it is. Sizes are worked out as the kernel will round them.
func (r *Ring) provideMemory(entries uint32, p *params) error {
	sq := roundEntries(entries, MaxEntries)
	cq := 2 * sq
	if r.flags&SetupCQSize != 0 {
		cq = max(roundEntries(p.cqEntries, MaxCQEntries), sq)
	}
	queues := pages(queueHeader + uintptr(sq)*4 + uintptr(cq)<<r.flags.cqeShift())
	base, err := r.addMapping(-1, 0, queues)
	if err != nil {
		return err
	}
	sqes, err := r.addMapping(-1, 0, pages(uintptr(sq)<<r.flags.sqeShift()))
	if err != nil {
		r.unmapAll()
		return err
	}
	// SAFETY: both areas stay mapped until the ring is destroyed.
	p.cqOff.userAddr = uint64(uintptr(base))
	p.sqOff.userAddr = uint64(uintptr(sqes))
	return nil
}

// fits tells whether the queues that the kernel has laid out lie within the
// memory that provideMemory gave it.
func (r *Ring) fits(p *params) bool {
	queues := uintptr(p.cqOff.cqes) + uintptr(p.cqEntries)<<r.flags.cqeShift()
	array := uintptr(p.sqOff.array) + uintptr(p.sqEntries)*4
	return queues <= r.mappings[0].size && array <= r.mappings[0].size &&
		uintptr(p.sqEntries)<<r.flags.sqeShift() <= r.mappings[1].size
}

// roundEntries is the kernel's rounding; it also clamps, which is right with
// SetupClamp and of no consequence without (New or the kernel has refused).
func roundEntries(n, limit uint32) uint32 {
	if n >= limit {
		return limit
	}
	return 1 << bits.Len32(max(n, 1)-1)
}

func pages(size uintptr) uintptr {
	page := uintptr(os.Getpagesize())
	return (size + page - 1) &^ (page - 1)
}
