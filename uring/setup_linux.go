package uring

import (
	"math/bits"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// The kernel's limits for the queues, IORING_MAX_ENTRIES and
// IORING_MAX_CQ_ENTRIES.
const (
	MaxEntries   = 32768
	MaxCQEntries = 2 * MaxEntries
)

// unsupportedFlags are known and refused: without a file descriptor a ring
// could be used by one thread only and not be polled; and SQ_REWIND would make
// the submission queue another data structure.
const unsupportedFlags = SetupRegisteredFdOnly | SetupSQRewind

// companions lists the flags that the kernel takes only together with one of
// some others, io_uring_setup(2).
var companions = []struct{ flag, oneOf SetupFlags }{
	{SetupSQAff, SetupSQPoll},
	{SetupTaskrunFlag, SetupCoopTaskrun | SetupDeferTaskrun},
	{SetupDeferTaskrun, SetupSingleIssuer},
	{SetupHybridIOPoll, SetupIOPoll},
}

// New makes a ring with io_uring_setup(2) and maps its queues. entries is the
// size of the submission queue, 1 to 32768; the kernel rounds it up to a power
// of two. Larger values are EINVAL unless SetupClamp is given. An error is a
// *SetupError around the errno:
//
//	EINVAL  entries out of range, or flags that this kernel does not know or
//	        that contradict each other
//	ENOSYS  no io_uring in this kernel, or hidden by a seccomp filter
//	EPERM   forbidden by kernel.io_uring_disabled, seccomp or a security module
//	ENOMEM  no memory, or RLIMIT_MEMLOCK reached (before kernel 5.12, and since
//	        6.14)
//	EMFILE, ENFILE  no file descriptors left
//
// With SetupNoMmap the queues lie in anonymous memory of this process. Before
// kernel 6.10 the kernel accepts that only if each area fits into one page
// (EINVAL otherwise).
func New(entries uint32, cfg Config) (*Ring, error) {
	flags := cfg.Flags
	if cfg.CQEntries != 0 {
		flags |= SetupCQSize
	}
	if reason := invalidConfig(entries, flags); reason != "" {
		return nil, &SetupError{Op: "io_uring_setup", Entries: entries, Flags: flags, Reason: reason, Err: unix.EINVAL}
	}
	optional := cfg.Optional &^ (flags | unsupportedFlags)
	for {
		optional = withCompanions(flags, optional)
		r, err := setup(entries, flags|optional, &cfg)
		if err == nil || err.Op != "io_uring_setup" || err.Err != unix.EINVAL || optional == 0 {
			if err != nil {
				return nil, err
			}
			return r, nil
		}
		optional &^= 1 << (bits.Len32(uint32(optional)) - 1)
	}
}

// invalidConfig names the rule that is broken, if any: those where the
// kernel's bare EINVAL would not tell.
func invalidConfig(entries uint32, flags SetupFlags) string {
	switch {
	case entries == 0:
		return "a ring needs at least 1 entry"
	case entries > MaxEntries && flags&SetupClamp == 0:
		return "more than 32768 entries need SetupClamp"
	case flags&unsupportedFlags != 0:
		return "not supported by this package: " + (flags & unsupportedFlags).String()
	}
	return ""
}

// withCompanions removes from optional what cannot be accepted for want of
// another flag, and then what has lost its companion by that.
func withCompanions(flags, optional SetupFlags) SetupFlags {
	for range companions {
		for _, c := range companions {
			if (flags|optional)&c.oneOf == 0 {
				optional &^= c.flag
			}
		}
	}
	return optional
}

// setup makes one attempt.
func setup(entries uint32, flags SetupFlags, cfg *Config) (*Ring, *SetupError) {
	fail := func(op string, err error) *SetupError {
		return &SetupError{Op: op, Entries: entries, Flags: flags, Err: err}
	}
	p := &params{
		cqEntries:    cfg.CQEntries,
		flags:        uint32(flags),
		sqThreadCPU:  cfg.SQThreadCPU,
		sqThreadIdle: milliseconds(cfg.SQThreadIdle),
	}
	if flags&SetupAttachWQ != 0 {
		p.wqFd = uint32(cfg.AttachFd)
	}
	r := &Ring{flags: flags, wait: new(waitArgument)}
	r.registered.slot.Store(noSlot)
	if flags&SetupNoMmap != 0 {
		if err := r.provideMemory(entries, p); err != nil {
			return nil, fail("mmap", err)
		}
	}
	fd, errno := sys.SetupRing(entries, unsafe.Pointer(p))
	if errno != 0 {
		r.unmapAll()
		return nil, fail("io_uring_setup", errno)
	}
	r.fd = fd
	r.features = Features(p.features)
	if flags&SetupNoMmap == 0 {
		err := r.mapMemory(p)
		if err != nil {
			return nil, r.abandon(fail("mmap", err))
		}
	} else if !r.fits(p) {
		return nil, r.abandon(fail("io_uring_setup", unix.EOVERFLOW))
	}
	r.attach(p)
	if cfg.NoIOWait && r.features.Has(FeatNoIOWait) {
		r.waits |= enterNoIOWait
	}
	return r, nil
}

// abandon undoes a set-up that failed halfway; err is the error that matters.
func (r *Ring) abandon(err *SetupError) *SetupError {
	_ = sys.CloseRing(r.fd)
	r.unmapAll()
	return err
}

// attach points the queues into the mapped memory.
func (r *Ring) attach(p *params) {
	ring, cqRing := r.mappings[0].base, r.mappings[0].base
	sqes := r.mappings[1].base
	if len(r.mappings) == 3 {
		cqRing = r.mappings[2].base
	}
	// SAFETY: the kernel filled in the offsets for exactly these mappings,
	// which stay until destroy; they are not Go memory, so the collector has
	// no business with them.
	at := func(base unsafe.Pointer, offset uint32) *uint32 { return (*uint32)(unsafe.Add(base, offset)) }
	r.sq = submission{
		kernelHead: at(ring, p.sqOff.head),
		kernelTail: at(ring, p.sqOff.tail),
		flags:      at(ring, p.sqOff.flags),
		dropped:    at(ring, p.sqOff.dropped),
		entries:    sqes,
		size:       p.sqEntries,
		mask:       p.sqEntries - 1,
		shift:      r.flags.sqeShift(),
		poll:       r.flags&SetupSQPoll != 0,
	}
	r.cq = completion{
		kernelHead: at(cqRing, p.cqOff.head),
		kernelTail: at(cqRing, p.cqOff.tail),
		overflow:   at(cqRing, p.cqOff.overflow),
		entries:    unsafe.Add(cqRing, p.cqOff.cqes),
		size:       p.cqEntries,
		mask:       p.cqEntries - 1,
		shift:      r.flags.cqeShift(),
		mixed:      r.flags&SetupCQEMixed != 0,
	}
	if p.cqOff.flags != 0 { // kernel 5.8
		r.cq.flags = at(cqRing, p.cqOff.flags)
	}
	if r.flags&SetupNoSQArray == 0 {
		// Entry i is always at index i: the indirection is set once and for
		// all. The kernel reads it after the tail, see Submit.
		array := unsafe.Slice(at(ring, p.sqOff.array), p.sqEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
}

func (f SetupFlags) sqeShift() uint8 {
	if f&SetupSQE128 != 0 {
		return 7
	}
	return 6
}

func (f SetupFlags) cqeShift() uint8 {
	if f&SetupCQE32 != 0 {
		return 5
	}
	return 4
}
