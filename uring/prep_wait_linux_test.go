package uring_test

import (
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

const target = 7 // the user data of a request that others are about

func TestPollMissesEvents(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	in, out := pipe(t)
	if got := must(t, r, func(s *uring.SQE) { s.PrepPollAdd(out, unix.POLLIN|unix.POLLOUT, false) }); got != unix.POLLOUT {
		t.Errorf("poll of a pipe to write to: %#x", got)
	}
	next(t, r, target).PrepPollAdd(in, unix.POLLIN, true)
	submit(t, r)
	for i := range 3 {
		write(t, out, "x")
		c := reap(t, r, 1)[0]
		if c.UserData != target || c.Res != unix.POLLIN || !c.More() {
			t.Fatalf("event %d: %+v", i, c)
		}
	}
	next(t, r, 1).PrepPollRemove(target)
	all := byUserData(t, reap(t, r, 2))
	if c := all[target]; c.Err() != unix.ECANCELED || c.More() || all[1].Res != 0 {
		t.Errorf("after the removal: %v", all)
	}
	wantErr(t, "removing it again", do(t, r, func(s *uring.SQE) { s.PrepPollRemove(target) }).Err(), unix.ENOENT)
}

func TestPollUpdateChangesNothing(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	// Older ones do not look whether the new events are there already.
	since(t, r, "updates to what is ready", uring.OpSocket)
	in, out := pipe(t)
	next(t, r, target).PrepPollAdd(in, unix.POLLPRI, false)
	submit(t, r)
	write(t, out, "x")
	if r.Completions() != 0 {
		t.Fatal("an event that was not asked for")
	}
	const renamed = 99
	next(t, r, 1).PrepPollUpdate(target, renamed, unix.POLLIN, uring.PollUpdateEvents|uring.PollUpdateUserData)
	all := byUserData(t, reap(t, r, 2))
	if all[1].Err() != nil || all[renamed].Res != unix.POLLIN {
		t.Errorf("completions: %v", all)
	}
}

func TestTimeoutEndsWrong(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	short := pin(t, &uring.Timespec{Nsec: int64(5 * time.Millisecond)})
	long := pin(t, &uring.Timespec{Sec: 1000})

	start := time.Now()
	c := do(t, r, func(s *uring.SQE) { s.PrepTimeout(short, 0, 0) })
	if took := time.Since(start); c.Err() != unix.ETIME || took < 5*time.Millisecond {
		t.Errorf("timeout: %v after %v", c.Err(), took)
	}
	past := pin(t, &uring.Timespec{Sec: 1})
	wantErr(t, "absolute", do(t, r, func(s *uring.SQE) { s.PrepTimeout(past, 0, uring.TimeoutAbs) }).Err(), unix.ETIME)
	wantErr(t, "realtime", do(t, r, func(s *uring.SQE) { s.PrepTimeout(past, 0, uring.TimeoutAbs|uring.TimeoutRealtime) }).Err(), unix.ETIME)

	// Ends with 0 after two other completions.
	next(t, r, target).PrepTimeout(long, 2, 0)
	next(t, r, 1).PrepNop()
	next(t, r, 2).PrepNop()
	if all := byUserData(t, reap(t, r, 3)); all[target].Res != 0 {
		t.Errorf("counting timeout: %v", all)
	}

	next(t, r, target).PrepTimeout(long, 0, 0)
	next(t, r, 1).PrepTimeoutRemove(target)
	if all := byUserData(t, reap(t, r, 2)); all[target].Err() != unix.ECANCELED || all[1].Res != 0 {
		t.Errorf("removed timeout: %v", all)
	}
	wantErr(t, "removing it again", do(t, r, func(s *uring.SQE) { s.PrepTimeoutRemove(target) }).Err(), unix.ENOENT)

	next(t, r, target).PrepTimeout(long, 0, 0)
	next(t, r, 1).PrepTimeoutUpdate(short, target, 0)
	if all := byUserData(t, reap(t, r, 2)); all[target].Err() != unix.ETIME || all[1].Res != 0 {
		t.Errorf("updated timeout: %v", all)
	}
}

func TestMultishotTimeoutStopsEarly(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	every := pin(t, &uring.Timespec{Nsec: int64(time.Millisecond)})
	next(t, r, target).PrepTimeout(every, 3, uring.TimeoutMultishot)
	submit(t, r)
	for i := range 3 {
		c := reap(t, r, 1)[0]
		if c.Err() == unix.EINVAL {
			skipKernel(t, "no multishot timeouts")
		}
		if c.Err() != unix.ETIME || c.More() != (i < 2) {
			t.Errorf("tick %d: %+v", i, c)
		}
	}
}

func TestLinkTimeoutDoesNotCancel(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	in, out := pipe(t)
	p := pinnedBytes(t, 1)
	short, long := pin(t, &uring.Timespec{Nsec: 1e6}), pin(t, &uring.Timespec{Sec: 1000})
	link := func(limit *uring.Timespec) {
		s := next(t, r, target)
		s.PrepRead(in, p, uring.CurrentPosition)
		s.Flags |= uring.SQEIOLink
		next(t, r, 1).PrepLinkTimeout(limit, 0)
	}
	link(short)
	if all := byUserData(t, reap(t, r, 2)); all[target].Err() != unix.ECANCELED || all[1].Err() != unix.ETIME {
		t.Errorf("over the limit: %v", all)
	}
	link(long)
	submit(t, r)
	write(t, out, "x")
	if all := byUserData(t, reap(t, r, 2)); all[target].Res != 1 || all[1].Err() != unix.ECANCELED {
		t.Errorf("within the limit: %v", all)
	}
	link(long)
	next(t, r, 2).PrepTimeoutUpdate(short, 1, uring.LinkTimeoutUpdate)
	if all := byUserData(t, reap(t, r, 3)); all[target].Err() != unix.ECANCELED || all[2].Err() != nil {
		t.Errorf("limit shortened: %v", all)
	}
}

func TestLinkRunsAfterFailure(t *testing.T) {
	r := newRing(t, 8, uring.Config{Optional: uring.SetupSubmitAll})
	_, out := pipe(t)
	for _, tc := range []struct {
		flag uring.SQEFlags
		want error
	}{{uring.SQEIOLink, unix.ECANCELED}, {uring.SQEIOHardlink, nil}} {
		s := next(t, r, 1)
		// Older kernels would find a bad descriptor when they read the entry,
		// and then not even a hard link goes on.
		s.PrepRecv(out, pinnedBytes(t, 1), 0)
		s.Flags |= tc.flag
		next(t, r, 2).PrepNop()
		all := byUserData(t, reap(t, r, 2))
		if all[1].Err() != unix.ENOTSOCK || all[2].Err() != tc.want {
			t.Errorf("%v: %v", tc.flag, all)
		}
	}
}

func TestSkippedCompletionComes(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	if !r.Features().Has(uring.FeatCQESkip) {
		skipKernel(t, "no CQE_SKIP_SUCCESS")
	}
	s := next(t, r, 1)
	s.PrepNop()
	s.Flags |= uring.SQECQESkipSuccess
	next(t, r, 2).PrepNop()
	if c := reap(t, r, 1)[0]; c.UserData != 2 || r.Completions() != 0 {
		t.Errorf("%+v came, and %d more", c, r.Completions())
	}
}

// readers queues n reads that will not end by themselves.
func readers(t *testing.T, r *uring.Ring, fd, n int) {
	t.Helper()
	for i := range n {
		next(t, r, target+uint64(i)).PrepRead(fd, pinnedBytes(t, 1), uring.CurrentPosition)
	}
	submit(t, r)
}

func TestCancelMissesItsTarget(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "cancelling all of a kind", uring.OpSendZC)
	in, _ := pipe(t)
	other, _ := pipe(t)
	check := func(name string, requests int, result int32, prepare func(s *uring.SQE)) {
		t.Helper()
		prepare(next(t, r, 1))
		all := byUserData(t, reap(t, r, requests+1))
		if all[1].Res != result {
			if all[1].Err() == unix.EINVAL {
				skipKernel(t, "%s unknown", name)
			}
			t.Errorf("%s: the cancel's result is %+v, want %d", name, all[1], result)
		}
		delete(all, 1)
		for _, c := range all {
			if c.Err() != unix.ECANCELED {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
	readers(t, r, in, 2)
	check("PrepCancel", 1, 0, func(s *uring.SQE) { s.PrepCancel(target, 0) })
	check("PrepCancelFd of another one", 0, -int32(unix.ENOENT), func(s *uring.SQE) { s.PrepCancelFd(other, 0) })
	check("PrepCancelFd", 1, 0, func(s *uring.SQE) { s.PrepCancelFd(in, 0) })
	check("PrepCancel of nothing", 0, -int32(unix.ENOENT), func(s *uring.SQE) { s.PrepCancel(target, 0) })
	readers(t, r, in, 3)
	check("CancelAll", 3, 3, func(s *uring.SQE) { s.PrepCancelFd(in, uring.CancelAll) })
	readers(t, r, in, 2)
	check("CancelAny", 2, 2, func(s *uring.SQE) { s.PrepCancel(0, uring.CancelAny|uring.CancelAll) })
	fatalIf(t, r.RegisterFiles([]int32{uring.FileEmpty, int32(in)}))
	s := next(t, r, target)
	s.PrepRead(1, pinnedBytes(t, 1), uring.CurrentPosition)
	s.Flags |= uring.SQEFixedFile
	submit(t, r)
	check("CancelFdFixed", 1, 0, func(s *uring.SQE) { s.PrepCancelFd(1, uring.CancelFdFixed) })
	since(t, r, "cancelling by opcode", uring.OpReadMultishot)
	readers(t, r, in, 2)
	check("PrepCancelOp of another one", 0, -int32(unix.ENOENT), func(s *uring.SQE) { s.PrepCancelOp(uring.OpPollAdd, 0) })
	check("PrepCancelOp", 2, 2, func(s *uring.SQE) { s.PrepCancelOp(uring.OpRead, uring.CancelAll) })
}

func TestSyncCancelMissesItsTarget(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	in, _ := pipe(t)
	err := r.SyncCancel(uring.CancelMatch{UserData: target}, -1)
	if err == unix.EINVAL {
		skipKernel(t, "no synchronous cancel")
	}
	wantErr(t, "nothing to cancel", err, unix.ENOENT)
	for _, match := range []uring.CancelMatch{
		{UserData: target},
		{Fd: in, Flags: uring.CancelFd},
		{Flags: uring.CancelAny},
		{Op: uring.OpRead, Flags: uring.CancelOp},
	} {
		if match.Flags&uring.CancelOp != 0 {
			since(t, r, "cancelling by opcode", uring.OpReadMultishot)
		}
		readers(t, r, in, 1)
		if err := r.SyncCancel(match, time.Second); err != nil {
			t.Fatalf("%+v: %v", match, err)
		}
		if c := reap(t, r, 1)[0]; c.UserData != target || c.Err() != unix.ECANCELED {
			t.Errorf("%+v: %+v", match, c)
		}
	}
}

func TestMessageReachesWrongRing(t *testing.T) {
	r, to := newRing(t, 8, uring.Config{}), newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpMsgRing)
	must(t, r, func(s *uring.SQE) { s.PrepMsgRing(to.Fd(), 42, 1234, 0) })
	if c := reap(t, to, 1)[0]; c != (uring.CQE{UserData: 1234, Res: 42}) {
		t.Errorf("message: %+v", c)
	}
	since(t, r, "messages with files", uring.OpSendZC)
	f := openFile(t, "shared")
	fatalIf(t, r.RegisterFiles([]int32{uring.FileEmpty, int32(f.Fd())}))
	fatalIf(t, to.RegisterFilesSparse(4))
	must(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 1, 3, 77, 0) })
	if c := reap(t, to, 1)[0]; c.UserData != 77 || c.Res != 0 {
		t.Errorf("message with a file: %+v", c)
	}
	readFixedFile(t, to, 3, "shared")
	in, _ := pipe(t)
	wantErr(t, "a message to a pipe", do(t, r, func(s *uring.SQE) { s.PrepMsgRing(in, 0, 0, 0) }).Err(), unix.EBADFD)
	needFeature(t, r, uring.FeatRegRegRing) // passing flags: the same kernel
	must(t, r, func(s *uring.SQE) {
		s.PrepMsgRing(to.Fd(), 1, 2, uring.MsgRingFlagsPass)
		s.FileIndex = 0x55
	})
	if c := reap(t, to, 1)[0]; c != (uring.CQE{UserData: 2, Res: 1, Flags: 0x55}) {
		t.Errorf("message with flags: %+v", c)
	}
}

// readFixedFile checks which file is registered at an index.
func readFixedFile(t *testing.T, r *uring.Ring, index int, want string) {
	t.Helper()
	p := pinnedBytes(t, len(want)+1)
	c := do(t, r, func(s *uring.SQE) {
		s.PrepRead(index, p, 0)
		s.Flags |= uring.SQEFixedFile
	})
	if c.Err() != nil || string(p[:c.Res]) != want {
		t.Errorf("the file at index %d: %q, %v; want %q", index, p[:max(c.Res, 0)], c.Err(), want)
	}
}

func TestSendMsgRingNeedsRing(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	err := uring.SendMsgRing(r.Fd(), 5, 6)
	orSkip(t, "SendMsgRing", err)
	if c := reap(t, r, 1)[0]; c != (uring.CQE{UserData: 6, Res: 5}) {
		t.Errorf("message: %+v", c)
	}
}

func TestFutexWaiterSleepsOn(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpFutexWait)
	word := pin(t, new(uint32))
	*word = 5
	const flags = uring.FutexSize32 | uring.FutexPrivate
	wait := func(s *uring.SQE, value uint64) { s.PrepFutexWait(word, value, uring.FutexMatchAny, flags, 0) }
	wantErr(t, "wait for another value", do(t, r, func(s *uring.SQE) { wait(s, 6) }).Err(), unix.EAGAIN)
	wait(next(t, r, target), 5)
	submit(t, r)
	next(t, r, 1).PrepFutexWake(word, 1, uring.FutexMatchAny, flags, 0)
	if all := byUserData(t, reap(t, r, 2)); all[target].Res != 0 || all[1].Res != 1 {
		t.Errorf("completions: %v", all)
	}
}
