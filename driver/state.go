package driver

import "fmt"

// State is whether a driver has a ring. It lives in one atomic:
//
//	state          CheckAndInit                                     moves to
//	-------------  -----------------------------------------------  -----------------
//	Uninitialized  tries to set a ring up, one goroutine at a time  Initialized,
//	                                                                Unsupported, also
//	                                                                by DisableRing
//	Initialized    looks the operation up, until DisableRing        (final)
//	Unsupported    says no                                          (final)
//
// A set-up that failed for want of descriptors or memory says nothing about
// the kernel: the state stays Uninitialized and a later call tries again.
type State uint32

const (
	StateUninitialized State = iota
	StateInitialized
	StateUnsupported
)

// String returns the state's name in lower case.
func (s State) String() string {
	switch s {
	case StateUninitialized:
		return "uninitialized"
	case StateInitialized:
		return "initialized"
	case StateUnsupported:
		return "unsupported"
	}
	return fmt.Sprintf("State(%d)", uint32(s))
}
