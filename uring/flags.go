package uring

import (
	"strconv"
	"strings"
)

// SetupFlags are the IORING_SETUP_ flags of io_uring_setup(2).
type SetupFlags uint32

// The set-up flags, with the kernel version that introduced each.
const (
	SetupIOPoll           SetupFlags = 1 << iota // 5.1: completions are polled for; O_DIRECT files only
	SetupSQPoll                                  // 5.1: a kernel thread submits
	SetupSQAff                                   // 5.1: bind that thread to Config.SQThreadCPU
	SetupCQSize                                  // 5.5: Config.CQEntries counts; set by New when that is not 0
	SetupClamp                                   // 5.6: too many entries mean the maximum, not EINVAL
	SetupAttachWQ                                // 5.6: share the workers of the ring Config.AttachFd
	SetupRDisabled                               // 5.10: the ring starts disabled, see Ring.Enable
	SetupSubmitAll                               // 5.18: a bad entry does not end the submission of those after it
	SetupCoopTaskrun                             // 5.19: completion work waits for the next kernel entry of the submitter
	SetupTaskrunFlag                             // 5.19: Ring.NeedsTaskrun tells that such work waits
	SetupSQE128                                  // 5.19: submission entries of 128 bytes
	SetupCQE32                                   // 5.19: completion entries of 32 bytes
	SetupSingleIssuer                            // 6.0: one thread submits
	SetupDeferTaskrun                            // 6.1: completion work runs only when that thread asks for events
	SetupNoMmap                                  // 6.5: the ring's memory is ours, not mapped from the kernel
	SetupRegisteredFdOnly                        // 6.5: no file descriptor; refused by New
	SetupNoSQArray                               // 6.6: no index array between the queue and its entries
	SetupHybridIOPoll                            // 6.13: sleep a while before polling
	SetupCQEMixed                                // 6.18: completion entries of 16 and of 32 bytes
	SetupSQEMixed                                // after 6.18: submission entries of 64 and of 128 bytes
	SetupSQRewind                                // after 6.18: every submission starts at index 0; refused by New
)

var setupNames = []string{
	"IOPOLL", "SQPOLL", "SQ_AFF", "CQSIZE", "CLAMP", "ATTACH_WQ", "R_DISABLED", "SUBMIT_ALL",
	"COOP_TASKRUN", "TASKRUN_FLAG", "SQE128", "CQE32", "SINGLE_ISSUER", "DEFER_TASKRUN", "NO_MMAP",
	"REGISTERED_FD_ONLY", "NO_SQARRAY", "HYBRID_IOPOLL", "CQE_MIXED", "SQE_MIXED", "SQ_REWIND",
}

// String lists the kernel's names without their prefix, joined by "|", and
// unknown bits in hexadecimal. It returns "0" if no bit is set.
func (f SetupFlags) String() string { return flagNames(uint32(f), setupNames) }

// enterFlags are the IORING_ENTER_ flags of io_uring_enter(2).
type enterFlags uint32

// The enter flags, with the kernel version that introduced each.
// io_uring_enter(2) explains them. The methods of Ring set them as needed.
const (
	enterGetEvents      enterFlags = 1 << iota // 5.1
	enterSQWakeup                              // 5.1
	enterSQWait                                // 5.10
	enterExtArg                                // 5.11
	enterRegisteredRing                        // 5.18
	enterAbsTimer                              // 6.12
	enterExtArgReg                             // 6.13
	enterNoIOWait                              // 6.15
)

var enterNames = []string{
	"GETEVENTS", "SQ_WAKEUP", "SQ_WAIT", "EXT_ARG", "REGISTERED_RING", "ABS_TIMER", "EXT_ARG_REG", "NO_IOWAIT",
}

// String lists the names like [SetupFlags.String].
func (f enterFlags) String() string { return flagNames(uint32(f), enterNames) }

// Features are the IORING_FEAT_ flags that io_uring_setup(2) reports.
type Features uint32

// The features, with the kernel version that introduced each. io_uring_setup(2)
// explains them.
const (
	FeatSingleMmap     Features = 1 << iota // 5.4
	FeatNoDrop                              // 5.5
	FeatSubmitStable                        // 5.5
	FeatRWCurPos                            // 5.6
	FeatCurPersonality                      // 5.6
	FeatFastPoll                            // 5.7
	FeatPoll32Bits                          // 5.9
	FeatSQPollNonfixed                      // 5.11
	FeatExtArg                              // 5.11
	FeatNativeWorkers                       // 5.12
	FeatRsrcTags                            // 5.13
	FeatCQESkip                             // 5.17
	FeatLinkedFile                          // 5.17
	FeatRegRegRing                          // 6.3
	FeatRecvsendBundle                      // 6.10
	FeatMinTimeout                          // 6.12
	FeatRWAttr                              // 6.14
	FeatNoIOWait                            // 6.15
)

var featureNames = []string{
	"SINGLE_MMAP", "NODROP", "SUBMIT_STABLE", "RW_CUR_POS", "CUR_PERSONALITY", "FAST_POLL",
	"POLL_32BITS", "SQPOLL_NONFIXED", "EXT_ARG", "NATIVE_WORKERS", "RSRC_TAGS", "CQE_SKIP",
	"LINKED_FILE", "REG_REG_RING", "RECVSEND_BUNDLE", "MIN_TIMEOUT", "RW_ATTR", "NO_IOWAIT",
}

// String lists the names like [SetupFlags.String].
func (f Features) String() string { return flagNames(uint32(f), featureNames) }

// Has reports whether all the given features are present.
func (f Features) Has(want Features) bool { return f&want == want }

// SQEFlags are the IOSQE_ flags of a submission entry, io_uring_enter(2).
type SQEFlags uint8

// The submission entry flags, with the kernel version that introduced each.
const (
	SQEFixedFile      SQEFlags = 1 << iota // 5.1: Fd is an index of the registered files
	SQEIODrain                             // 5.2: start after all before it have completed
	SQEIOLink                              // 5.3: the next entry starts when this one has succeeded
	SQEIOHardlink                          // 5.5: the same, whatever the result
	SQEAsync                               // 5.6: do not try inline first
	SQEBufferSelect                        // 5.7: take a buffer of the group BufIndex
	SQECQESkipSuccess                      // 5.17: no completion when it succeeds
)

var sqeNames = []string{
	"FIXED_FILE", "IO_DRAIN", "IO_LINK", "IO_HARDLINK", "ASYNC", "BUFFER_SELECT", "CQE_SKIP_SUCCESS",
}

// String lists the names like [SetupFlags.String].
func (f SQEFlags) String() string { return flagNames(uint32(f), sqeNames) }

// CQEFlags are the IORING_CQE_F_ flags of a completion.
type CQEFlags = uint32

// The completion flags, with the kernel version that introduced each.
const (
	CQEFBuffer       CQEFlags = 1 << 0  // 5.7: the upper 16 bits are a buffer's id
	CQEFMore         CQEFlags = 1 << 1  // 5.13: more completions of the same entry follow
	CQEFSockNonempty CQEFlags = 1 << 2  // 5.19: more to receive on the socket
	CQEFNotif        CQEFlags = 1 << 3  // 6.0: a zero-copy send has let go of its memory
	CQEFBufMore      CQEFlags = 1 << 4  // 6.12: the buffer is partly used and stays the kernel's
	CQEFSkip         CQEFlags = 1 << 5  // 6.18: filler, skipped by Reap
	CQEF32           CQEFlags = 1 << 15 // 6.18: this completion has 32 bytes
	CQEFTstampHW     CQEFlags = 1 << 16 // 6.17: a timestamp came from the hardware (socket commands)

	// CQEBufferShift is where the buffer id starts in the flags.
	CQEBufferShift = 16
)

// flagNames writes bit i of flags as names[i] and the rest in hexadecimal.
func flagNames(flags uint32, names []string) string {
	if flags == 0 {
		return "0"
	}
	var b strings.Builder
	for i, name := range names {
		if bit := uint32(1) << i; flags&bit != 0 {
			flags &^= bit
			if b.Len() > 0 {
				b.WriteByte('|')
			}
			b.WriteString(name)
		}
	}
	if flags != 0 {
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString("0x" + strconv.FormatUint(uint64(flags), 16))
	}
	return b.String()
}
