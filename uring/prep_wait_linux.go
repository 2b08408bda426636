package uring

import "math/bits"

// The flags of poll requests, in Len.
const (
	PollAddMulti       = 1 << 0 // 5.13: report again and again
	PollUpdateEvents   = 1 << 1 // 5.13: PrepPollUpdate changes the events
	PollUpdateUserData = 1 << 2 // 5.13: PrepPollUpdate changes the user data
	PollAddLevel       = 1 << 3 // 5.18: with PollAddMulti: level-triggered
)

// PrepPollAdd waits until one of the events in mask (unix.POLL... or EPOLL...
// bits) is there on fd, the result; with multishot it reports each further one
// too, until the completion without CQEFMore. POLLERR, POLLHUP and, other than by
// poll(2), POLLRDHUP are reported unasked. A file that cannot be polled has
// POLLIN and POLLOUT at once, and is EINVAL for other events. OpPollAdd, kernel
// 5.1, poll(2); multishot kernel 5.13.
func (s *SQE) PrepPollAdd(fd int, mask uint32, multishot bool) {
	s.prep(OpPollAdd, fd, 0, 0, 0)
	s.OpFlags = pollMask(mask)
	if multishot {
		s.Len = PollAddMulti
	}
}

// PrepPollRemove ends the poll request that has the user data: it completes
// with ECANCELED. The result is ENOENT if there is none, EALREADY if it is
// just completing. OpPollRemove, kernel 5.1.
func (s *SQE) PrepPollRemove(userData uint64) {
	s.prep(OpPollRemove, -1, userData, 0, 0)
}

// PrepPollUpdate changes events, user data or both of the poll request that
// has the old user data; flags are PollUpdate... and for the new request
// PollAdd... . OpPollRemove, kernel 5.13.
func (s *SQE) PrepPollUpdate(oldUserData, newUserData uint64, mask, flags uint32) {
	s.prep(OpPollRemove, -1, oldUserData, flags, newUserData)
	s.OpFlags = pollMask(mask)
}

// pollMask is the events as the kernel reads them: 16-bit words in
// little-endian order on every machine.
func pollMask(mask uint32) uint32 {
	if bigEndian {
		return bits.RotateLeft32(mask, 16)
	}
	return mask
}

// The flags of timeouts, in OpFlags.
const (
	TimeoutAbs          = 1 << 0 // 5.4: a point in time, not a duration
	TimeoutUpdate       = 1 << 1 // 5.11
	TimeoutBoottime     = 1 << 2 // 5.15: CLOCK_BOOTTIME
	TimeoutRealtime     = 1 << 3 // 5.15: CLOCK_REALTIME
	LinkTimeoutUpdate   = 1 << 4 // 5.15
	TimeoutEtimeSuccess = 1 << 5 // 5.16: ETIME does not break a link
	TimeoutMultishot    = 1 << 6 // 6.4: every period; count is how often, 0 for ever
	TimeoutImmediateArg = 1 << 7 // after 6.18: Addr is the time in nanoseconds
)

// PrepTimeout completes with ETIME when the time is over, or with 0 when count
// other completions came first (0: never). OpTimeout, kernel 5.4. The time until
// submitted.
func (s *SQE) PrepTimeout(time *Timespec, count, flags uint32) {
	s.prep(OpTimeout, -1, pointer(time), 1, uint64(count))
	s.OpFlags = flags
}

// PrepTimeoutRemove ends the timeout that has the user data: it completes with
// ECANCELED. The result is ENOENT if there is none, EBUSY if it is just
// completing. OpTimeoutRemove, kernel 5.5.
func (s *SQE) PrepTimeoutRemove(userData uint64) {
	s.prep(OpTimeoutRemove, -1, userData, 0, 0)
}

// PrepTimeoutUpdate gives the timeout that has the user data a new time.
// flags may be TimeoutAbs and a clock; with LinkTimeoutUpdate it is a linked
// timeout that is meant (kernel 5.15). OpTimeoutRemove, kernel 5.11. The time
// until submitted.
func (s *SQE) PrepTimeoutUpdate(time *Timespec, userData uint64, flags uint32) {
	s.prep(OpTimeoutRemove, -1, userData, 0, pointer(time))
	s.OpFlags = flags | TimeoutUpdate
}

// PrepLinkTimeout cancels the entry before it, which has SQEIOLink, when it
// takes longer. It completes with ETIME if it did cancel, ECANCELED if not.
// OpLinkTimeout, kernel 5.5. The time until submitted.
func (s *SQE) PrepLinkTimeout(time *Timespec, flags uint32) {
	s.prep(OpLinkTimeout, -1, pointer(time), 1, 0)
	s.OpFlags = flags
}
