package driver

import "golang.org/x/sys/unix"

// keepPreemptionAway blocks the signal with which Go's scheduler interrupts
// threads (SIGURG, since Go 1.14) on the calling thread, which must be locked to
// its goroutine, until the function it returns is called there.
//
// The kernel makes the threads that work on blocking requests in the name of the
// one that submits, and cannot while that one has a signal pending (clone(2):
// ERESTARTNOINTR). It tries again at once, without letting the signal be
// delivered in between, and since the middle of 2024 ("io-wq: limit retrying
// worker initialisation", also in 5.15, 6.1, 6.6) gives up after three times.
// Then requests wait for a worker that nobody makes: for ever, if all the workers
// there are wait for what those requests were to do. Or they are all cancelled,
// if it was to be the first worker. Kernels since 6.15 pause between attempts
// ("backoff when retrying worker creation"), which frequent signals still defeat,
// and the latest do not give up ("always retry worker create on ERESTART*").
//
// Without the signal the scheduler still preempts the goroutine, at the next
// function it calls. All other signals remain: what is sent to the process goes
// to its first thread as a rule, the profiler's is wanted, and the one with which
// setuid(2) is carried to all threads must not wait.
func keepPreemptionAway() (restore func()) {
	const bit = int(unix.SIGURG) - 1
	var set, old unix.Sigset_t
	const word = 1024 / len(set.Val) // bits of a C long
	set.Val[bit/word] |= 1 << (bit % word)
	// The call fails for no arguments but invalid ones.
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old)
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }
}
