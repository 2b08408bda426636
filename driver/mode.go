package driver

import "fmt"

// SubmitMode says which thread hands requests to the kernel.
type SubmitMode uint8

const (
	// SubmitAuto takes SubmitThread where the kernel has what it needs and
	// GOMAXPROCS is above one, and SubmitShared otherwise.
	SubmitAuto SubmitMode = iota

	// SubmitShared lets the calling goroutine push under a mutex and enter the
	// kernel on whatever thread it runs on. Its price: a completion waits for
	// the thread that submitted it, so a thread stuck in a long system call
	// holds up what it submitted. On a single processor it is nevertheless the
	// faster way by far.
	//
	// Go's scheduler interrupts those threads with a signal (SIGURG), and the
	// kernel cannot make a worker thread in the name of one that has a signal
	// pending. Since the middle of 2024 ("io-wq: limit retrying worker
	// initialisation", also in 5.15, 6.1 and 6.6) it gives up after three
	// attempts, since 6.15 more rarely: a request that blocks a worker, such as
	// one to a pipe, can then be left without, for as long as the workers there
	// are wait for others. SubmitThread keeps the signal from its thread; from
	// callers it cannot be kept.
	SubmitShared

	// SubmitThread gives the ring one locked thread that submits for all and
	// reaps. It needs IORING_SETUP_SINGLE_ISSUER and
	// IORING_SETUP_DEFER_TASKRUN (Linux 6.1).
	SubmitThread
)

// String returns "auto", "shared" or "thread".
func (m SubmitMode) String() string {
	switch m {
	case SubmitAuto:
		return "auto"
	case SubmitShared:
		return "shared"
	case SubmitThread:
		return "thread"
	}
	return fmt.Sprintf("SubmitMode(%d)", uint8(m))
}
