package uring_test

import (
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func timespec(t *testing.T, d time.Duration) *uring.Timespec {
	ts := uring.NewTimespec(d)
	return pin(t, &ts)
}

func TestTimeoutsExpireOutOfOrder(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		for i, d := range []time.Duration{150, 50, 100} {
			next(t, r, uint64(i)).PrepTimeout(timespec(t, d*time.Millisecond), 0, 0)
		}
		for _, c := range sequence(t, r, 1, 2, 0) {
			if c.Err() != unix.ETIME {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestTimeoutMiscountsCompletions: each counts those after its own submission.
func TestTimeoutMiscountsCompletions(t *testing.T) {
	r := newRing(t, 16, uring.Config{})
	long := timespec(t, 1000*time.Second)
	next(t, r, 101).PrepTimeout(long, 3, 0)
	next(t, r, 102).PrepTimeout(long, 1, 0)
	submit(t, r)
	for i := range uint64(2) {
		next(t, r, i).PrepNop()
	}
	submit(t, r)
	all := byUserData(t, reap(t, r, 3))
	if c, ok := all[102]; !ok || c.Res != 0 {
		t.Fatalf("after the first two: %v", all)
	}
	quiet(t, r, "the other one counts to three")
	next(t, r, 2).PrepNop()
	if all := byUserData(t, reap(t, r, 2)); all[101].Res != 0 {
		t.Errorf("after the third: %v", all)
	}
}

// TestTimeoutsOddRequestsAreAccepted sends what the kernel must refuse.
func TestTimeoutsOddRequestsAreAccepted(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatCQESkip) // all the flags are known
	long := timespec(t, 1000*time.Second)
	bad := func(what string, want error, prepare func(s *uring.SQE)) {
		t.Helper()
		wantErr(t, what, do(t, r, prepare).Err(), want)
	}
	bad("two clocks", unix.EINVAL, func(s *uring.SQE) { s.PrepTimeout(long, 0, uring.TimeoutBoottime|uring.TimeoutRealtime) })
	bad("unknown flags", unix.EINVAL, func(s *uring.SQE) { s.PrepTimeout(long, 0, 1<<20) })
	bad("no time", unix.EFAULT, func(s *uring.SQE) { s.PrepTimeout(nil, 0, 0) })
	bad("negative time", unix.EINVAL, func(s *uring.SQE) { s.PrepTimeout(pin(t, &uring.Timespec{Sec: -1}), 0, 0) })
	bad("update of none", unix.ENOENT, func(s *uring.SQE) { s.PrepTimeoutUpdate(long, 4711, 0) })
	bad("update of no linked one", unix.ENOENT, func(s *uring.SQE) { s.PrepTimeoutUpdate(long, 4711, uring.LinkTimeoutUpdate) })
	bad("update with two clocks", unix.EINVAL, func(s *uring.SQE) {
		s.PrepTimeoutUpdate(long, target, uring.TimeoutBoottime|uring.TimeoutRealtime)
	})
	next(t, r, target).PrepTimeout(long, 0, 0)
	submit(t, r)
	bad("update as a linked one", unix.ENOENT, func(s *uring.SQE) { s.PrepTimeoutUpdate(long, target, uring.LinkTimeoutUpdate) })
	next(t, r, 1).PrepTimeoutRemove(target)
	reap(t, r, 2)
}

// TestTimeoutBreaksOrMendsChain: ETIME breaks a chain unless asked not to.
func TestTimeoutBreaksOrMendsChain(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatCQESkip)
	for flags, want := range map[uint32]error{0: unix.ECANCELED, uring.TimeoutEtimeSuccess: nil} {
		s := next(t, r, 1)
		s.PrepTimeout(timespec(t, time.Millisecond), 0, flags)
		linked(s)
		next(t, r, 2).PrepNop()
		if all := byUserData(t, reap(t, r, 2)); all[1].Err() != unix.ETIME || all[2].Err() != want {
			t.Errorf("flags %#x: %v, want %v for the second", flags, all, want)
		}
	}
	// Cancelled, it breaks the chain in any case.
	s := next(t, r, 1)
	s.PrepTimeout(timespec(t, 1000*time.Second), 0, uring.TimeoutEtimeSuccess)
	linked(s)
	next(t, r, 2).PrepNop()
	next(t, r, 3).PrepTimeoutRemove(1)
	if all := byUserData(t, reap(t, r, 3)); all[1].Err() != unix.ECANCELED || all[2].Err() != unix.ECANCELED {
		t.Errorf("cancelled: %v", all)
	}
}

func TestUpdateOfMultishotTimeoutIsIgnored(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "multishot timeouts", uring.OpReadMultishot)
	next(t, r, target).PrepTimeout(timespec(t, 1000*time.Second), 0, uring.TimeoutMultishot)
	submit(t, r)
	quiet(t, r, "its time is far off")
	next(t, r, 1).PrepTimeoutUpdate(timespec(t, time.Millisecond), target, 0)
	for _, c := range reap(t, r, 4) {
		if c.UserData == target && (c.Err() != unix.ETIME || !c.More()) || c.UserData == 1 && c.Err() != nil {
			t.Errorf("%+v", c)
		}
	}
	next(t, r, 2).PrepTimeoutRemove(target)
	all := reap(t, r, 2)
	for !terminal(all, target) {
		all = append(all, reap(t, r, 1)...)
	}
}

// TestTimeoutIsNotReportedToEventfd waits for a timeout on the eventfd.
func TestTimeoutIsNotReportedToEventfd(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	fd := eventfd(t, 0)
	fatalIf(t, r.RegisterEventfd(fd))
	next(t, r, 1).PrepTimeout(timespec(t, time.Millisecond), 0, 0)
	submit(t, r)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	eventually(t, "the event", func() bool { n, _ := unix.Poll(fds, 100); return n == 1 })
	if c := sequence(t, r, 1)[0]; c.Err() != unix.ETIME {
		t.Errorf("%+v", c)
	}
}

// TestWaitEndsBeforeEnoughCompleted waits for completions that come one by one.
func TestWaitEndsBeforeEnoughCompleted(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		next(t, r, 1).PrepNop()
		var release [3]func()
		for i := range release {
			release[i] = waiting(t, r, uint64(2+i), 0)
		}
		submit(t, r)
		released := make(chan struct{})
		go func() {
			defer close(released)
			for _, f := range release {
				time.Sleep(2 * time.Millisecond)
				f()
			}
		}()
		interrupted := 0
		for r.Wait(4, -1); r.Completions() < 4; r.Wait(4, -1) {
			// A signal may end a wait, but not every one.
			if interrupted++; interrupted == 100 {
				t.Fatalf("waits for 4 end with %d completions", r.Completions())
			}
		}
		<-released
		if interrupted > 2 {
			t.Errorf("the wait for 4 ended early %d times", interrupted)
		}
		reap(t, r, 4)
	})
}

// TestTimeoutDoesNotEndWait: whoever waits for more is woken by a timeout.
func TestTimeoutDoesNotEndWait(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	next(t, r, 1).PrepTimeout(timespec(t, 20*time.Millisecond), 0, 0)
	// The kernel looks for timeouts that end while it waits: one that does before
	// that, on a slow machine, leaves the wait to the other.
	next(t, r, 2).PrepTimeout(timespec(t, 2*time.Second), 0, 0)
	if _, err := r.SubmitAndWait(4, -1); err != nil && err != unix.EINTR {
		t.Fatal(err)
	}
	if c := sequence(t, r, 1)[0]; c.Err() != unix.ETIME {
		t.Errorf("%+v", c)
	}
}

// TestWaitForMoreThanComesLosesCompletions gives up a wait for two when one has
// come: that one must be there, and what is there is no failure.
func TestWaitForMoreThanComesLosesCompletions(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needFeature(t, r, uring.FeatExtArg)
		release := waiting(t, r, 1, 0)
		submit(t, r)
		release()
		if r.SetupFlags()&uring.SetupSQPoll != 0 { // its thread does not wait for us
			eventually(t, "the completion", func() bool { return r.Completions() == 1 })
		}
		start, err := time.Now(), r.Wait(2, 20*time.Millisecond)
		for err == unix.EINTR {
			start, err = time.Now(), r.Wait(2, 20*time.Millisecond)
		}
		if err != nil && err != unix.ETIME {
			t.Errorf("the wait: %v", err)
		}
		if n := r.Completions(); n != 1 {
			t.Errorf("%d completions are there after %v, want 1", n, time.Since(start))
		}
		reap(t, r, 1)
	})
}

// TestTimeoutsOfWaitersDisturbEachOther has several goroutines wait for
// timeouts of their own, each on its own ring.
func TestTimeoutsOfWaitersDisturbEachOther(t *testing.T) {
	needFeature(t, newRing(t, 4, uring.Config{}), uring.FeatExtArg)
	results := make(chan error)
	const waiters = 4
	for i := range waiters {
		r := newRing(t, 4, uring.Config{})
		patience := time.Duration(i+1) * 5 * time.Millisecond
		go func() {
			start, err := time.Now(), r.Wait(1, patience)
			for err == unix.EINTR {
				start, err = time.Now(), r.Wait(1, patience)
			}
			if took := time.Since(start); err == unix.ETIME && took < patience {
				t.Errorf("waiter %d came back after %v", i, took)
			}
			results <- err
		}()
	}
	for range waiters {
		wantErr(t, "a wait", <-results, unix.ETIME)
	}
}
