package probe

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// params is struct io_uring_params, <linux/io_uring.h>; the offsets of the queues
// are not looked at.
type params struct {
	sqEntries    uint32
	cqEntries    uint32
	flags        uint32
	sqThreadCPU  uint32
	sqThreadIdle uint32
	features     uint32
	wqFd         uint32
	reserved     [3]uint32
	offsets      [10]uint64
}

// operations is struct io_uring_probe with room for all operation numbers.
type operations struct {
	lastOp    uint8
	count     uint8
	reserved  uint16
	reserved2 [3]uint32
	ops       [256]struct {
		op       uint8
		reserved uint8
		flags    uint16
		unused   uint32
	}
}

// supported tells for each operation known here whether the kernel has it.
func (o *operations) supported() map[string]bool {
	ops := make(map[string]bool, OpCount)
	for op := range OpCount {
		ops[OpName(uint8(op))] = op < int(o.count) && o.ops[op].flags&opSupported != 0
	}
	return ops
}

const (
	registerProbe = 8      // IORING_REGISTER_PROBE, Linux 5.6
	opSupported   = 1 << 0 // IO_URING_OP_SUPPORTED

	setupIOPoll       = 1 << 0
	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupRDisabled    = 1 << 6
	setupSubmitAll    = 1 << 7
	setupCQE32        = 1 << 11
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13
	setupNoMmap       = 1 << 14
	setupRegisteredFd = 1 << 15
	setupNoSQArray    = 1 << 16
	setupHybridIOPoll = 1 << 17
	setupCQEMixed     = 1 << 18
	setupSQEMixed     = 1 << 19
	setupSQRewind     = 1 << 20
)

// rungs are the flags to try, newest first. A kernel that lacks one refuses with
// EINVAL before it makes anything, so the first rung that it accepts is the only
// ring made; and since kernels learn flags in the order of the bits, it is the
// measure of all those below.
//
//	rung                          kernel
//	SQ_REWIND                     after 6.18
//	SQE_MIXED                     after 6.18
//	CQE_MIXED                     6.18
//	HYBRID_IOPOLL                 6.13
//	NO_SQARRAY                    6.6
//	NO_MMAP, REGISTERED_FD_ONLY   6.5; EFAULT, as no memory is given
//	DEFER_TASKRUN                 6.1
//	SINGLE_ISSUER                 6.0
//	CQE32 and those from COOP     5.19
//	SUBMIT_ALL                    5.18
//	R_DISABLED                    5.10
//	CLAMP, ATTACH_WQ              5.6
//	CQSIZE                        5.5
//	none, up to SQ_AFF            5.1
var rungs = []struct {
	flags uint32
	known uint32 // highest bit that this rung is the measure of
}{
	{setupSQRewind | setupNoSQArray, setupSQRewind},
	{setupSQEMixed, setupSQEMixed},
	{setupCQEMixed, setupCQEMixed},
	{setupHybridIOPoll | setupIOPoll, setupHybridIOPoll},
	{setupNoSQArray, setupNoSQArray},
	{setupNoMmap, setupRegisteredFd},
	{setupDeferTaskrun | setupSingleIssuer, setupDeferTaskrun},
	{setupSingleIssuer, setupSingleIssuer},
	{setupCQE32, setupCQE32},
	{setupSubmitAll, setupSubmitAll},
	{setupRDisabled, setupRDisabled},
	{setupClamp, setupClamp << 1},
	{setupCQSize, setupCQSize},
	{0, 1 << 2},
}

// ring is one that was set up only to be looked at.
type ring struct {
	fd       int
	flags    uint32 // it was set up with
	known    uint32 // highest set-up flag this kernel knows
	features uint32
}

// setupRing climbs down the rungs to the first that is accepted.
func setupRing() (ring, syscall.Errno) {
	r := ring{fd: -1}
	errno := syscall.Errno(unix.EINVAL)
	for _, rung := range rungs {
		p := &params{flags: rung.flags, cqEntries: 8}
		// SAFETY: the kernel reads and writes p, which is ours and has the
		// struct's size, during the call only.
		r.fd, errno = sys.SetupRing(4, unsafe.Pointer(p))
		switch {
		case errno == unix.EINVAL:
			continue
		case errno == unix.EFAULT && rung.flags == setupNoMmap:
			r.known = rung.known
			continue
		}
		r.known = max(r.known, rung.known)
		r.flags, r.features = rung.flags, p.features
		return r, errno
	}
	return r, errno
}

// probeURing sets up a ring, enters it without asking for anything, and has it
// list its operations: the three system calls, each of which may be forbidden.
func probeURing(f facts) URing {
	u := URing{Ops: map[string]bool{}, Features: []string{}, SetupFlags: map[string]bool{}}
	refused := func(call string, errno syscall.Errno) URing {
		u.Reason, u.State, u.Evidence = explain(call, errno, f)
		return u
	}
	r, errno := setupRing()
	if errno != 0 {
		return refused("io_uring_setup", errno)
	}
	defer sys.CloseRing(r.fd)
	u.Features = namesOf(r.features)
	for bit, name := range setupNames {
		u.SetupFlags[name] = 1<<bit <= r.known
	}
	// A ring set up with R_DISABLED answers EBADFD: it was reached.
	if _, errno := sys.EnterRingRaw(r.fd, 0, 0, 0); errno != 0 && errno != unix.EBADFD && errno != unix.EINTR {
		return refused("io_uring_enter", errno)
	}
	list := new(operations)
	// SAFETY: the kernel fills in list, which is ours and has room for the 256
	// operations announced, during the call only.
	_, errno = sys.RegisterRing(r.fd, registerProbe, unsafe.Pointer(list), uint32(len(list.ops)))
	if errno == unix.EINVAL {
		u.State, u.Reason = Unusable, ReasonMissingOp
		u.Evidence = []string{"the kernel cannot list its operations, which came with Linux 5.6"}
		return u
	}
	if errno != 0 {
		return refused("io_uring_register", errno)
	}
	u.Ops = list.supported()
	u.State, u.Reason, u.Evidence = judge(u.Ops, r.features)
	return u
}

// needed are the operations without which eddy has no use for a ring, all of
// Linux 5.6, and featureNoDrop that a full queue loses nothing, Linux 5.5.
var needed = []string{"nop", "openat", "read", "write", "close", "fsync", "async_cancel"}

const featureNoDrop = 1 << 1

// judge decides on a ring that can be reached.
func judge(ops map[string]bool, features uint32) (State, Reason, []string) {
	var missing []string
	for _, op := range needed {
		if !ops[op] {
			missing = append(missing, op)
		}
	}
	if features&featureNoDrop == 0 {
		missing = append(missing, "feature nodrop")
	}
	if missing != nil {
		return Unusable, ReasonMissingOp, []string{"missing: " + strings.Join(missing, ", ")}
	}
	count := 0
	for _, has := range ops {
		if has {
			count++
		}
	}
	return Usable, ReasonNone, []string{
		fmt.Sprintf("a ring was set up and entered, and has %d of %d known operations", count, len(ops)),
	}
}
