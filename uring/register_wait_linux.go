package uring

import (
	"time"
	"unsafe"
)

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
