package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

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
