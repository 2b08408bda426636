package driver

import "fmt"

// Lifecycle is where a request stands. It decides who owns the memory.
//
//	state      who waits    who owns the memory  moves to
//	---------  -----------  -------------------  -------------------------------------
//	Idle       nobody       the caller           Submitted   RegisterOp, HoldOp
//	Submitted  nobody yet   the kernel           Waiting     the caller parks
//	                                             Completed   terminal CQE
//	                                             Cancelled   CancelOp
//	                                             Idle        RegisterOp fails after all
//	Waiting    one caller   the kernel           Completed   terminal CQE, caller woken
//	                                             Cancelled   CancelOp
//	Cancelled  nobody       the kernel           Idle        terminal CQE: the result is
//	                                                         disposed of, memory released
//	Completed  nobody       the caller           Idle        Result
//
// Every move in whose place somebody else may make another is one
// compare-and-swap, so of a completion and a cancellation that race exactly one
// wins, and the loser knows it.
type Lifecycle uint32

const (
	Idle Lifecycle = iota
	Submitted
	Waiting
	Cancelled
	Completed
)

// String returns the state's name in lower case.
func (l Lifecycle) String() string {
	switch l {
	case Idle:
		return "idle"
	case Submitted:
		return "submitted"
	case Waiting:
		return "waiting"
	case Cancelled:
		return "cancelled"
	case Completed:
		return "completed"
	}
	return fmt.Sprintf("Lifecycle(%d)", uint32(l))
}
