package uring_test

import (
	"runtime"
	"testing"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestMessageToOddRing sends messages to the sender itself, to a disabled ring,
// and to rings that post completions in other ways.
func TestMessageToOddRing(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, to *uring.Ring) {
		r := newRing(t, 8, uring.Config{})
		needOps(t, r, uring.OpMsgRing)
		for i := range uint64(5) {
			must(t, r, func(s *uring.SQE) { s.PrepMsgRing(to.Fd(), uint32(i), 100+i, 0) })
		}
		for i, c := range sequence(t, to, 100, 101, 102, 103, 104) {
			if c.Res != int32(i) {
				t.Errorf("message %d: %+v", i, c)
			}
		}
		next(t, r, 1).PrepMsgRing(r.Fd(), 7, 2, 0)
		all := byUserData(t, reap(t, r, 2))
		if all[2].Res != 7 || all[1].Err() != nil {
			t.Errorf("a message to the sender: %v", all)
		}
	})
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpMsgRing)
	disabled := newRing(t, 8, uring.Config{Flags: uring.SetupRDisabled})
	c := do(t, r, func(s *uring.SQE) { s.PrepMsgRing(disabled.Fd(), 0, 0, 0) })
	wantErr(t, "to a disabled ring", c.Err(), unix.EBADFD)
	c = do(t, r, func(s *uring.SQE) { s.PrepMsgRing(-1, 0, 0, 0) })
	wantErr(t, "to no ring", c.Err(), unix.EBADF)
	c = do(t, r, func(s *uring.SQE) { s.PrepMsgRing(disabled.Fd(), 0, 0, 1<<10) })
	wantErr(t, "with unknown flags", c.Err(), unix.EINVAL)
}

// TestWaiterSleepsThroughMessage waits for a message from another thread.
func TestWaiterSleepsThroughMessage(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, to *uring.Ring) {
		r := newRing(t, 8, uring.Config{})
		needOps(t, r, uring.OpMsgRing)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for to.CallsInFlight() == 0 {
				runtime.Gosched()
			}
			s := r.Next()
			s.PrepMsgRing(to.Fd(), 1, 2, 0)
			if _, err := r.SubmitAndWait(1, -1); err != nil && err != unix.EINTR {
				t.Errorf("SubmitAndWait: %v", err)
			}
		}()
		for to.Completions() == 0 {
			if err := to.Wait(1, -1); err != nil && err != unix.EINTR {
				t.Fatal(err)
			}
		}
		sequence(t, to, 2)
		<-sent
		sequence(t, r, 0)
	})
}

// TestMessagesToFullQueueAreLost sends more than the other ring has room for.
func TestMessagesToFullQueueAreLost(t *testing.T) {
	r, to := newRing(t, 8, uring.Config{}), newRing(t, 1, uring.Config{CQEntries: 2})
	needOps(t, r, uring.OpMsgRing)
	delivered := uint64(0)
	for range 32 {
		switch c := do(t, r, func(s *uring.SQE) { s.PrepMsgRing(to.Fd(), 0, delivered, 0) }); c.Err() {
		case nil:
			delivered++
		case unix.EOVERFLOW: // is not delivered, and says so
		default:
			t.Fatalf("message %d: %v", delivered, c.Err())
		}
	}
	if delivered < 2 {
		t.Fatalf("only %d messages were taken", delivered)
	}
	for i := range delivered {
		sequence(t, to, i)
	}
	quiet(t, to, "all were reaped")
}

// TestFileGoesToTheWrongIndex passes registered files from ring to ring.
func TestFileGoesToTheWrongIndex(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, to *uring.Ring) {
		r := newRing(t, 8, uring.Config{})
		since(t, r, "messages with files", uring.OpSendZC)
		a, b := openFile(t, "file a"), openFile(t, "file b")
		fatalIf(t, r.RegisterFiles([]int32{int32(a.Fd()), int32(b.Fd())}))
		c := do(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 0, 0, 1, 0) })
		wantErr(t, "to a ring without a table", c.Err(), unix.ENXIO)
		fatalIf(t, to.RegisterFilesSparse(3))
		must(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 1, 2, 9, 0) })
		sequence(t, to, 9)
		readFixedFile(t, to, 2, "file b")
		// Over one that is there, silently, and where the kernel likes.
		must(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 0, 2, 9, uring.MsgRingCQESkip) })
		quiet(t, to, "a silent message")
		readFixedFile(t, to, 2, "file a")
		index := must(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 1, 0, 10, 0); s.DirectAny() })
		if c := sequence(t, to, 10)[0]; index != 0 || c.Res != 0 {
			t.Errorf("the kernel chose index %d and told the other ring %+v", index, c)
		}
		readFixedFile(t, to, 0, "file b")
		c = do(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 0, 3, 1, 0) })
		wantErr(t, "outside of its table", c.Err(), unix.EINVAL)
		c = do(t, r, func(s *uring.SQE) { s.PrepMsgRingFd(to.Fd(), 2, 1, 1, 0) })
		wantErr(t, "a file that is not registered", c.Err(), unix.EBADF)
		fatalIf(t, r.Close())
		readFixedFile(t, to, 0, "file b") // the sender is not needed any more
	})
}
