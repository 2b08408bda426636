package echobench

import (
	"errors"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// Possible says whether measurements can be made here.
func Possible() error { return nil }

// placement says where and how a process is to run.
type placement struct {
	cpus    *unix.CPUSet // nil is wherever this process may
	precise bool         // its timers are to go off on time
}

// preciseSlack is the timer slack of the load generator, in nanoseconds: the default of 50 us would be in every latency
// of an open loop. PR_SET_TIMERSLACK(2const).
const preciseSlack = 1

// places gives the server the first processor and the load generator the others, if they are to be pinned.
func places(pin bool) (server, load placement, err error) {
	load.precise = true
	if !pin {
		return server, load, nil
	}
	var all, first, others unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return server, load, os.NewSyscallError("sched_getaffinity", err)
	}
	if all.Count() < 2 {
		return server, load, errors.New("pinning takes two processors, and there is one")
	}
	for cpu, seen := 0, 0; seen < all.Count(); cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		if seen == 0 {
			first.Set(cpu)
		} else {
			others.Set(cpu)
		}
		seen++
	}
	server.cpus, load.cpus = &first, &others
	return server, load, nil
}

// start starts cmd in its place. A new process inherits affinity and timer slack from the thread that forks it, and so
// has them before its runtime looks at them.
func (p placement) start(cmd *exec.Cmd) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if p.cpus != nil {
		var before unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return os.NewSyscallError("sched_getaffinity", err)
		}
		if err := unix.SchedSetaffinity(0, p.cpus); err != nil {
			return os.NewSyscallError("sched_setaffinity", err)
		}
		defer func() {
			err = errors.Join(err, os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &before)))
		}()
	}
	if p.precise {
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, preciseSlack, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl", err)
		}
		defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // 0 is the default
	}
	return cmd.Start()
}
