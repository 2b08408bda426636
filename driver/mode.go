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
