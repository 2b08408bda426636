package uring

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/internal/sys"
	"golang.org/x/sys/unix"
)

// RegisterEventfd makes the kernel add to an eventfd(2) when it posts
// completions (IORING_REGISTER_EVENTFD, kernel 5.2). The counter is a hint to
// look, not the number of completions. The error is EBUSY if an eventfd is
// registered already.
func (r *Ring) RegisterEventfd(fd int) error { return r.registerEventfd(RegisterOpEventfd, fd) }

// RegisterEventfdAsync is [Ring.RegisterEventfd] for completions that a kernel
// worker thread posts. Those that are posted during the submission, or when a
// file has become ready, do not change the counter.
// IORING_REGISTER_EVENTFD_ASYNC, kernel 5.6.
func (r *Ring) RegisterEventfdAsync(fd int) error {
	return r.registerEventfd(RegisterOpEventfdAsync, fd)
}

func (r *Ring) registerEventfd(op RegisterOp, fd int) error {
	arg := int32(fd)
	_, err := r.register(op, unsafe.Pointer(&arg), 1)
	return err
}

// UnregisterEventfd undoes RegisterEventfd and RegisterEventfdAsync. The error
// is ENXIO if none is registered.
func (r *Ring) UnregisterEventfd() error {
	_, err := r.register(RegisterOpUnregisterEventfd, nil, 0)
	return err
}

// EnableEventfd switches the notifications of the registered eventfd on or off,
// without a system call. The result is false if the kernel cannot do that
// (before 5.8). It belongs to the completion side.
func (r *Ring) EnableEventfd(on bool) bool {
	if r.life.closed() || r.cq.flags == nil {
		return false
	}
	// Only we write this word; the kernel reads it when it posts. A completion
	// that is being posted at this moment may go either way.
	if on {
		atomic.StoreUint32(r.cq.flags, 0)
	} else {
		atomic.StoreUint32(r.cq.flags, cqEventfdDisabled)
	}
	return true
}

type syncCancelRegister struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout Timespec
	opcode  Op
	_       [7]uint8
	_       [3]uint64
}

// CancelMatch says which requests [Ring.SyncCancel] applies to.
type CancelMatch struct {
	UserData uint64 // the key, unless a flag names another one
	Fd       int    // with CancelFd
	Op       Op     // with CancelOp (kernel 6.6)
	Flags    uint32 // Cancel...
}

// SyncCancel asks the matching requests to end and waits until they are about
// to complete (IORING_REGISTER_SYNC_CANCEL, kernel 6.0). After the timeout the
// error is ETIME; a negative timeout means no limit. Their completions are
// posted as usual, and only those give memory back. The error is ENOENT if no
// request matches, and EINTR if a signal came: the requests were asked to end,
// so call again to wait.
func (r *Ring) SyncCancel(match CancelMatch, timeout time.Duration) error {
	arg := &syncCancelRegister{
		addr: match.UserData, fd: int32(match.Fd), flags: match.Flags, opcode: match.Op,
		timeout: Timespec{Sec: -1, Nsec: -1},
	}
	if timeout >= 0 {
		arg.timeout = NewTimespec(timeout)
	}
	_, err := r.register(RegisterOpSyncCancel, unsafe.Pointer(arg), 1)
	return err
}

// SendMsgRing posts a completion with UserData data and Res n on the ring with
// the given descriptor, without using a ring for it
// (IORING_REGISTER_SEND_MSG_RING, kernel 6.13). It may be called concurrently.
func SendMsgRing(ringFd int, n uint32, data uint64) error {
	entry := new(SQE)
	entry.PrepMsgRing(ringFd, n, data, 0)
	_, errno := sys.RegisterRing(-1, uint32(RegisterOpSendMsgRing), unsafe.Pointer(entry), 1)
	return asError(errno)
}

type clockRegister struct {
	clockID uint32
	_       [3]uint32
}

// RegisterClock sets the clock for the timeouts of SubmitAndWait
// (IORING_REGISTER_CLOCK, kernel 6.12): CLOCK_MONOTONIC, the default, or
// CLOCK_BOOTTIME, which also runs while the machine sleeps.
func (r *Ring) RegisterClock(clock int32) error {
	arg := &clockRegister{clockID: uint32(clock)}
	_, err := r.register(RegisterOpClock, unsafe.Pointer(arg), 0)
	return err
}

type napi struct {
	busyPollMicroseconds uint32
	prefer               uint8
	_                    [3]uint8
	_                    uint64
}

// RegisterNapi makes waits for completions first poll the network devices of
// the sockets in use, for up to the given time, rounded up to microseconds
// (IORING_REGISTER_NAPI, kernel 6.9). The error is EINVAL if the kernel was
// built without it.
func (r *Ring) RegisterNapi(busyPoll time.Duration, prefer bool) error {
	arg := &napi{busyPollMicroseconds: microseconds(busyPoll)}
	if prefer {
		arg.prefer = 1
	}
	_, err := r.register(RegisterOpNapi, unsafe.Pointer(arg), 1)
	return err
}

// UnregisterNapi undoes [Ring.RegisterNapi].
func (r *Ring) UnregisterNapi() error {
	_, err := r.register(RegisterOpUnregisterNapi, unsafe.Pointer(new(napi)), 1)
	return err
}

// RegisterPersonality stores the calling thread's credentials in the kernel and
// returns an id for SQE.Personality (IORING_REGISTER_PERSONALITY, kernel 5.6).
func (r *Ring) RegisterPersonality() (uint16, error) {
	id, err := r.register(RegisterOpPersonality, nil, 0)
	return uint16(id), err
}

// UnregisterPersonality removes stored credentials. The error is EINVAL for an
// unknown id.
func (r *Ring) UnregisterPersonality(id uint16) error {
	_, err := r.register(RegisterOpUnregisterPersonality, nil, uint32(id))
	return err
}

// IOWQMaxWorkers limits the number of kernel worker threads for requests that
// would block: bounded for those that are sure to end (on regular files),
// unbounded for the others (sockets, pipes). 0 leaves a limit as it is. It
// returns the previous limits. (IORING_REGISTER_IOWQ_MAX_WORKERS, kernel 5.15.)
// Workers belong to the thread that submits, per NUMA node; the limits apply to
// the calling thread and to every thread that enters the ring from now on.
func (r *Ring) IOWQMaxWorkers(bounded, unbounded uint32) (before [2]uint32, err error) {
	arg := &[2]uint32{bounded, unbounded}
	if _, err := r.register(RegisterOpIOWQMaxWorkers, unsafe.Pointer(arg), 2); err != nil {
		return [2]uint32{}, err
	}
	return *arg, nil
}

// IOWQAffinity sets the processors on which the calling thread's kernel workers
// run (IORING_REGISTER_IOWQ_AFF, kernel 5.14). The error is EINVAL if the
// thread has not used the ring yet, because it has no workers before that.
func (r *Ring) IOWQAffinity(cpus *unix.CPUSet) error {
	_, err := r.register(RegisterOpIOWQAff, unsafe.Pointer(cpus), uint32(unsafe.Sizeof(*cpus)))
	return err
}

// UnregisterIOWQAffinity undoes [Ring.IOWQAffinity].
func (r *Ring) UnregisterIOWQAffinity() error {
	_, err := r.register(RegisterOpUnregisterIOWQAff, nil, 0)
	return err
}
