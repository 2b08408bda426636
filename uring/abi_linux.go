package uring

import (
	"math"
	"time"
)

// The structs of include/uapi/linux/io_uring.h that are passed to system calls
// or read from shared memory. testdata/uapi.txt holds their layout as a C
// compiler sees it. A blank field is reserved and must be 0.

// Timespec is struct __kernel_timespec: 64 bits per field on all systems.
type Timespec struct {
	Sec  int64
	Nsec int64
}

// NewTimespec converts a duration. A negative one becomes 0.
func NewTimespec(d time.Duration) Timespec {
	d = max(d, 0)
	return Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
}

type sqOffsets struct {
	head        uint32
	tail        uint32
	ringMask    uint32
	ringEntries uint32
	flags       uint32
	dropped     uint32
	array       uint32
	_           uint32
	userAddr    uint64
}

type cqOffsets struct {
	head        uint32
	tail        uint32
	ringMask    uint32
	ringEntries uint32
	overflow    uint32
	cqes        uint32
	flags       uint32
	_           uint32
	userAddr    uint64
}

type params struct {
	sqEntries    uint32
	cqEntries    uint32
	flags        uint32
	sqThreadCPU  uint32
	sqThreadIdle uint32
	features     uint32
	wqFd         uint32
	_            [3]uint32
	sqOff        sqOffsets
	cqOff        cqOffsets
}

type geteventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	timespec    uint64
}

// Where mmap(2) finds the parts of a ring.
const (
	offsetSQRing = 0
	offsetCQRing = 0x8000000
	offsetSQEs   = 0x10000000
)

// The bits of the queues' flag words.
const (
	sqNeedWakeup = 1 << 0
	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2

	cqEventfdDisabled = 1 << 0
)

// MaxReadWrite is the largest number of bytes that a single read or write moves
// (MAX_RW_COUNT in the kernel: 2 GiB less one page). Longer requests are cut to
// it, and give a short count.
const MaxReadWrite = 0x7ffff000

// milliseconds rounds up to what fits the kernel's 32 bits.
func milliseconds(d time.Duration) uint32 {
	return roundUp(d, time.Millisecond)
}

// microseconds rounds up to what fits the kernel's 32 bits.
func microseconds(d time.Duration) uint32 {
	return roundUp(d, time.Microsecond)
}

func roundUp(d, unit time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	n := d / unit
	if d%unit != 0 {
		n++
	}
	return uint32(min(n, math.MaxUint32))
}
