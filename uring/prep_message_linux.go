package uring

// The commands and flags of OpMsgRing.
const (
	MsgData   = 0 // in Addr: post a completion
	MsgSendFd = 1 // in Addr, 6.0: hand over a registered file

	MsgRingCQESkip   = 1 << 0 // 6.0: no completion on the target; PrepMsgRingFd only
	MsgRingFlagsPass = 1 << 1 // 6.3: FileIndex becomes the completion's flags
)

// PrepMsgRing posts a completion with UserData data and Res n on another ring,
// which is given by its file descriptor. The result is 0, EOVERFLOW if the
// other ring has no room, or EBADFD if it is disabled. OpMsgRing, kernel 5.18.
func (s *SQE) PrepMsgRing(ringFd int, n uint32, data uint64, flags uint32) {
	s.prep(OpMsgRing, ringFd, MsgData, n, data)
	s.OpFlags = flags
}

// PrepMsgRingFd puts the registered file at index source into another ring's
// registered files, at index target, and posts a completion with UserData data
// there. OpMsgRing, kernel 6.0.
func (s *SQE) PrepMsgRingFd(ringFd int, source, target uint32, data uint64, flags uint32) {
	s.prep(OpMsgRing, ringFd, MsgSendFd, 0, data)
	s.Addr3 = uint64(source)
	s.Direct(target)
	s.OpFlags = flags
}
