package uring_test

import (
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// polls queues polls that will not end by themselves, with the user data.
func polls(t *testing.T, r *uring.Ring, fd int, userData ...uint64) {
	t.Helper()
	for _, id := range userData {
		next(t, r, id).PrepPollAdd(fd, unix.POLLIN, false)
	}
	submit(t, r)
}

// cancelled runs a cancel request, and checks its result and which requests it
// has ended.
func cancelled(t *testing.T, r *uring.Ring, what string, result int32, prepare func(s *uring.SQE), ended ...uint64) {
	t.Helper()
	const id = 1 << 40
	prepare(next(t, r, id))
	all := byUserData(t, reap(t, r, len(ended)+1))
	if all[id].Res != result {
		t.Errorf("%s: the result is %+v, want %d", what, all[id], result)
	}
	for _, one := range ended {
		if c, ok := all[one]; !ok || c.Err() != unix.ECANCELED {
			t.Errorf("%s: request %d gives %+v (there: %v)", what, one, c, ok)
		}
	}
	quiet(t, r, what+" ended more")
}

// TestCancelEndsMoreThanItNames has many requests that look alike.
func TestCancelEndsMoreThanItNames(t *testing.T) {
	eachRing(t, 32, func(t *testing.T, r *uring.Ring) {
		since(t, r, "cancelling all of a kind", uring.OpSocket)
		in, _ := pipe(t)
		other, _ := pipe(t)
		polls(t, r, in, 1, 2, 2, 3)
		polls(t, r, other, 2, 4)
		none := -int32(unix.ENOENT)
		cancelled(t, r, "one by user data", 0, func(s *uring.SQE) { s.PrepCancel(1, 0) }, 1)
		cancelled(t, r, "the same again", none, func(s *uring.SQE) { s.PrepCancel(1, 0) })
		cancelled(t, r, "one by descriptor", 0, func(s *uring.SQE) { s.PrepCancelFd(other, 0) }, 4)
		s := next(t, r, 100)
		s.PrepCancel(2, uring.CancelAll)
		for i, c := range reap(t, r, 4) {
			if c.UserData == 100 && c.Res != 3 || c.UserData == 2 && c.Err() != unix.ECANCELED || c.UserData == 3 {
				t.Errorf("all by user data: completion %d is %+v", i, c)
			}
		}
		cancelled(t, r, "all of the descriptor", 1, func(s *uring.SQE) { s.PrepCancelFd(in, uring.CancelAll) }, 3)
		cancelled(t, r, "all of none", 0, func(s *uring.SQE) { s.PrepCancel(9, uring.CancelAll) })
		polls(t, r, in, 5)
		polls(t, r, other, 6)
		cancelled(t, r, "everything", 2, func(s *uring.SQE) { s.PrepCancel(0, uring.CancelAny|uring.CancelAll) }, 5, 6)
	})
}

// TestCancelMatchesHalf names descriptor and user data, or descriptor and opcode,
// together.
func TestCancelMatchesHalf(t *testing.T) {
	r := newRing(t, 16, uring.Config{})
	since(t, r, "matching two things", uring.OpReadMultishot)
	in, _ := pipe(t)
	other, _ := pipe(t)
	polls(t, r, in, 1, 2)
	polls(t, r, other, 1, 3)
	both := func(fd int, userData uint64, flags uint32) func(s *uring.SQE) {
		return func(s *uring.SQE) {
			s.PrepCancelFd(fd, flags|uring.CancelUserData)
			s.Addr = userData
		}
	}
	none := -int32(unix.ENOENT)
	cancelled(t, r, "neither", none, both(in, 3, 0))
	cancelled(t, r, "both", 0, both(in, 1, 0), 1)
	cancelled(t, r, "both again", none, both(in, 1, 0))
	cancelled(t, r, "both, of the other descriptor", 1, both(other, 1, uring.CancelAll), 1)
	next(t, r, 4).PrepRead(in, pinnedBytes(t, 1), uring.CurrentPosition)
	submit(t, r)
	byOp := func(fd int, op uring.Op) func(s *uring.SQE) {
		return func(s *uring.SQE) {
			s.PrepCancelFd(fd, uring.CancelOp)
			s.Len = uint32(op)
		}
	}
	cancelled(t, r, "a read of the other descriptor", none, byOp(other, uring.OpRead))
	cancelled(t, r, "a read", 0, byOp(in, uring.OpRead), 4)
	cancelled(t, r, "what is left", 2, func(s *uring.SQE) { s.PrepCancelOp(uring.OpPollAdd, uring.CancelAll) }, 2, 3)
}

// TestCancelLeavesChainBehind cancels the head of a chain, its middle, and
// entries that wait for a drain.
func TestCancelLeavesChainBehind(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		waiting(t, r, 1, uring.SQEIOLink)
		next(t, r, 2).PrepNop()
		submit(t, r)
		cancelled(t, r, "the head", 0, func(s *uring.SQE) { s.PrepCancel(1, 0) }, 1, 2)

		waiting(t, r, 1, uring.SQEIOHardlink)
		next(t, r, 2).PrepNop()
		submit(t, r)
		next(t, r, 3).PrepCancel(1, 0)
		if all := byUserData(t, reap(t, r, 3)); all[1].Err() != unix.ECANCELED || all[2].Err() != nil {
			t.Errorf("the head of a hard chain: %v", all)
		}
	})
}

// TestTimeoutIsCancelledLikeAnything ends a timeout and an accept by user data.
func TestTimeoutIsCancelledLikeAnything(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	listener, _ := tcpListener(t, 0)
	next(t, r, 1).PrepTimeout(timespec(t, 1000*time.Second), 0, 0)
	next(t, r, 2).PrepAccept(listener, nil, nil, 0, false)
	submit(t, r)
	quiet(t, r, "neither ends by itself")
	cancelled(t, r, "the timeout", 0, func(s *uring.SQE) { s.PrepCancel(1, 0) }, 1)
	cancelled(t, r, "the accept", 0, func(s *uring.SQE) { s.PrepCancel(2, 0) }, 2)
}

// TestWorkersRequestCannotBeCancelled cancels what a worker thread of the
// kernel is blocked in.
func TestWorkersRequestCannotBeCancelled(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	in, _ := pipe(t)
	s := next(t, r, target)
	s.PrepRead(in, pinnedBytes(t, 1), uring.CurrentPosition)
	s.Flags |= uring.SQEAsync
	submit(t, r)
	quiet(t, r, "the pipe is empty")
	next(t, r, 1).PrepCancel(target, 0)
	all := byUserData(t, reap(t, r, 2))
	// A worker that blocks gets a signal: EALREADY, and then EINTR.
	if all[1].Res != 0 && all[1].Err() != unix.EALREADY || all[target].Err() != unix.ECANCELED && all[target].Err() != unix.EINTR {
		t.Errorf("completions: %v", all)
	}
}

// TestSyncCancelReturnsBeforeTheEnd: after it, the completions are there.
func TestSyncCancelReturnsBeforeTheEnd(t *testing.T) {
	r := newRing(t, 16, uring.Config{})
	since(t, r, "synchronous cancel", uring.OpSendZC)
	in, _ := pipe(t)
	fatalIf(t, r.RegisterFiles([]int32{uring.FileEmpty, int32(in)}))
	polls(t, r, in, 1, 2)
	s := next(t, r, 3)
	s.PrepPollAdd(1, unix.POLLIN, false)
	fixed(s)
	submit(t, r)
	fatalIf(t, r.SyncCancel(uring.CancelMatch{Fd: 1, Flags: uring.CancelFd | uring.CancelFdFixed}, -1))
	sequence(t, r, 3)
	quiet(t, r, "the others were not meant")
	fatalIf(t, r.SyncCancel(uring.CancelMatch{Fd: in, Flags: uring.CancelFd | uring.CancelAll}, -1))
	for id, c := range byUserData(t, reap(t, r, 2)) {
		if c.Err() != unix.ECANCELED {
			t.Errorf("request %d gives %v", id, c.Err())
		}
	}
	wantErr(t, "once more", r.SyncCancel(uring.CancelMatch{Fd: in, Flags: uring.CancelFd}, -1), unix.ENOENT)
	wantErr(t, "a bad descriptor", r.SyncCancel(uring.CancelMatch{Fd: -1, Flags: uring.CancelFd}, -1), unix.EBADF)
}
