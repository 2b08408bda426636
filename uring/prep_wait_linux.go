package uring

import "math/bits"

// The flags of poll requests, in Len.
const (
	PollAddMulti       = 1 << 0 // 5.13: report again and again
	PollUpdateEvents   = 1 << 1 // 5.13: PrepPollUpdate changes the events
	PollUpdateUserData = 1 << 2 // 5.13: PrepPollUpdate changes the user data
	PollAddLevel       = 1 << 3 // in the header since 6.0, but refused (EINVAL; seen on 6.18)
)

// PrepPollAdd waits until one of the events in mask (unix.POLL... or EPOLL...
// bits) holds for fd; the result is the events. With multishot it reports each
// further event, too, until a completion without CQEFMore. POLLERR, POLLHUP
// and, unlike in poll(2), POLLRDHUP are reported even if they are not in mask.
// A file that cannot be polled has POLLIN and POLLOUT at once, and gives EINVAL
// for other events. OpPollAdd, kernel 5.1, poll(2); multishot kernel 5.13.
func (s *SQE) PrepPollAdd(fd int, mask uint32, multishot bool) {
	s.prep(OpPollAdd, fd, 0, 0, 0)
	s.OpFlags = pollMask(mask)
	if multishot {
		s.Len = PollAddMulti
	}
}

// PrepPollRemove ends the poll request with the given user data, which then
// completes with ECANCELED. The result is ENOENT if there is none, and EALREADY
// if it is just completing. OpPollRemove, kernel 5.1.
func (s *SQE) PrepPollRemove(userData uint64) {
	s.prep(OpPollRemove, -1, userData, 0, 0)
}

// PrepPollUpdate changes the events, the user data, or both, of the poll
// request that has oldUserData. flags are PollUpdate... and, for the changed
// request, PollAdd... . OpPollRemove, kernel 5.13.
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

// PrepTimeout completes with ETIME when the time has passed, or with 0 when
// count other completions came first (a count of 0: never). The kernel uses the
// time until submitted. OpTimeout, kernel 5.4.
func (s *SQE) PrepTimeout(time *Timespec, count, flags uint32) {
	s.prep(OpTimeout, -1, pointer(time), 1, uint64(count))
	s.OpFlags = flags
}

// PrepTimeoutRemove ends the timeout with the given user data, which then
// completes with ECANCELED. The result is ENOENT if there is none, and EBUSY if
// it is just completing. OpTimeoutRemove, kernel 5.5.
func (s *SQE) PrepTimeoutRemove(userData uint64) {
	s.prep(OpTimeoutRemove, -1, userData, 0, 0)
}

// PrepTimeoutUpdate gives the timeout with the given user data a new time.
// flags may be TimeoutAbs and a clock; LinkTimeoutUpdate means that it is a
// linked timeout (kernel 5.15). The kernel uses the time until submitted.
// OpTimeoutRemove, kernel 5.11.
func (s *SQE) PrepTimeoutUpdate(time *Timespec, userData uint64, flags uint32) {
	s.prep(OpTimeoutRemove, -1, userData, 0, pointer(time))
	s.OpFlags = flags | TimeoutUpdate
}

// PrepLinkTimeout cancels the entry before it, which must have SQEIOLink, if
// that takes longer than the time. Its own result is ETIME if it did cancel,
// otherwise ECANCELED. The kernel uses the time until submitted. OpLinkTimeout,
// kernel 5.5.
func (s *SQE) PrepLinkTimeout(time *Timespec, flags uint32) {
	s.prep(OpLinkTimeout, -1, pointer(time), 1, 0)
	s.OpFlags = flags
}
