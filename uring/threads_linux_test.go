package uring_test

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestSharedPollThreadServesOneRingOnly has several rings share a submission
// thread, and closes the one that brought it.
func TestSharedPollThreadServesOneRingOnly(t *testing.T) {
	first := newRing(t, 8, uring.Config{Flags: uring.SetupSQPoll, SQThreadIdle: 5 * time.Millisecond})
	var rings []*uring.Ring
	for range 4 {
		rings = append(rings, newRing(t, 8, uring.Config{
			Flags: uring.SetupSQPoll | uring.SetupAttachWQ, AttachFd: first.Fd(), SQThreadIdle: 5 * time.Millisecond,
		}))
	}
	f := openFile(t, "shared thread")
	p := pinnedBytes(t, 16)
	use := func(r *uring.Ring) {
		t.Helper()
		if n := must(t, r, func(s *uring.SQE) { s.PrepRead(int(f.Fd()), p, 0) }); string(p[:n]) != "shared thread" {
			t.Errorf("read %q", p[:n])
		}
	}
	for range 3 {
		use(first)
		for _, r := range rings {
			use(r)
		}
	}
	release := waiting(t, rings[0], 1, 0)
	submit(t, rings[0])
	fatalIf(t, first.Close())
	for _, r := range rings[1:] {
		use(r)
	}
	release()
	sequence(t, rings[0], 1)
	_, err := uring.New(8, uring.Config{Flags: uring.SetupAttachWQ, AttachFd: int(f.Fd())})
	wantErr(t, "attaching to what is no ring", err, unix.EINVAL)
}

// TestPollThreadRunsAfterClose counts the kernel's threads of this process.
func TestPollThreadRunsAfterClose(t *testing.T) {
	z := make([]int, 5)
	for i := range z {
		r := newRing(t, 4, uring.Config{Flags: uring.SetupSQPoll, SQThreadIdle: time.Hour})
		z[i] = witness(t, r)
		if i%2 == 0 { // used, or not
			must(t, r, (*uring.SQE).PrepNop)
		}
		next(t, r, 1).PrepPollAdd(eventfd(t, 0), unix.POLLIN, false)
		submit(t, r)
		fatalIf(t, r.Close())
	}
	for i := range z {
		eventually(t, "the ring is gone", func() bool { return ended(z[i]) })
	}
	eventually(t, "its thread is gone", func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		fatalIf(t, err)
		for _, task := range tasks {
			name, err := os.ReadFile("/proc/self/task/" + task.Name() + "/comm")
			if err == nil && len(name) >= 8 && string(name[:8]) == "iou-sqp-" {
				return false
			}
		}
		return true
	})
}

// TestDeferredWorkRunsForWrongCaller: with DEFER_TASKRUN only whoever asks for
// events runs completion work; eventfd and the ring's descriptor tell of it.
func TestDeferredWorkRunsForWrongCaller(t *testing.T) {
	lockThread(t)
	r := newRing(t, 8, uring.Config{Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun})
	event := eventfd(t, 0)
	fatalIf(t, r.RegisterEventfd(event))
	release := waiting(t, r, 1, 0)
	submit(t, r)
	if eventCount(t, event) != 0 {
		t.Error("an event before there is one")
	}
	release()
	ready := func(fd int) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, _ := unix.Poll(fds, 0)
		return n == 1
	}
	eventually(t, "the event", func() bool { return ready(event) })
	if !ready(r.Fd()) {
		t.Error("the ring's descriptor is not readable while work waits")
	}
	if r.Completions() != 0 {
		t.Error("the work has been run unasked")
	}
	other := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		other <- r.Wait(1, time.Millisecond)
	}()
	wantErr(t, "waiting on another thread", <-other, unix.EEXIST)
	sequence(t, r, 1)
	if n := posted(t, r); n != 0 {
		t.Errorf("%d more completions", n)
	}
}

// TestDrainHangsDeferredWork drains on a ring whose work is deferred.
func TestDrainHangsDeferredWork(t *testing.T) {
	lockThread(t)
	r := newRing(t, 16, uring.Config{Flags: uring.SetupSingleIssuer | uring.SetupDeferTaskrun})
	f := openFile(t, "x")
	for i := range uint64(12) {
		s := next(t, r, i)
		if s.PrepNop(); i%3 == 0 {
			s.PrepFsync(int(f.Fd()), 0)
			s.Flags |= uring.SQEAsync
		}
		drained(s)
	}
	sequence(t, r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
}

// TestRingOfEndedThreadHangs closes rings whose submitting thread has ended with
// requests in flight: they are over.
func TestRingOfEndedThreadHangs(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupCoopTaskrun, uring.SetupSQPoll} {
		t.Run(flags.String(), func(t *testing.T) {
			r := newRing(t, 8, uring.Config{Flags: flags})
			z := witness(t, r)
			in, out := pipe(t)
			p := pinnedBytes(t, 1)
			main := make(chan int)
			go func() {
				runtime.LockOSThread() // the thread ends with the goroutine
				r.Next().PrepRead(in, p, uring.CurrentPosition)
				s := r.Next()
				s.PrepRead(in, p, uring.CurrentPosition)
				s.Flags |= uring.SQEAsync
				_, err := r.Submit()
				if err != nil {
					t.Errorf("Submit: %v", err)
				}
				main <- unix.Gettid()
			}()
			tid := <-main
			if tid != os.Getpid() { // Go never ends the main thread
				eventually(t, "the thread ends", func() bool { return unix.Tgkill(os.Getpid(), tid, 0) == unix.ESRCH })
			}
			write(t, out, "xy")
			for _, c := range reap(t, r, 2) {
				if c.Res != 1 && c.Err() != unix.ECANCELED && c.Err() != unix.EINTR {
					t.Errorf("after the thread's end: %+v", c)
				}
			}
			fatalIf(t, r.Close())
			eventually(t, "the ring is gone", func() bool { return ended(z) })
		})
	}
}

// TestWorkersShareQueue floods the kernel's worker threads from two rings that
// share them, and alone.
func TestWorkersShareQueue(t *testing.T) {
	first := newRing(t, 64, uring.Config{})
	second := newRing(t, 64, uring.Config{Flags: uring.SetupAttachWQ, AttachFd: first.Fd()})
	f := openFile(t, string(pattern(4096)))
	for _, r := range []*uring.Ring{first, second} {
		p := pinnedBytes(t, 64*64)
		for i := range uint64(64) {
			s := next(t, r, i)
			s.PrepRead(int(f.Fd()), p[i*64:i*64+64], i*64)
			s.Flags |= uring.SQEAsync
		}
		reap(t, r, 64)
		if string(p) != string(pattern(4096)) {
			t.Error("the file was read wrong")
		}
	}
}

// TestConcurrentRingsLoseCompletions has goroutines use a ring each, with pipes
// between them.
func TestConcurrentRingsLoseCompletions(t *testing.T) {
	const rings, rounds = 4, 200
	var group sync.WaitGroup
	var ends [rings][2]int
	for i := range ends {
		ends[i][0], ends[i][1] = pipe(t)
	}
	for i := range rings {
		r := newRing(t, 4, uring.Config{})
		p, q := pinnedBytes(t, 8), pinnedBytes(t, 8)
		group.Add(1)
		go func() {
			defer group.Done()
			for round := range rounds {
				q[0], q[1] = byte(i), byte(round)
				s := r.Next()
				s.PrepWrite(ends[(i+1)%rings][1], q, uring.CurrentPosition)
				s = r.Next()
				s.PrepRead(ends[i][0], p, uring.CurrentPosition)
				s.UserData = 1
				var all [2]uring.CQE
				for n := 0; n < 2; {
					if _, err := r.SubmitAndWait(1, -1); err != nil && err != unix.EINTR {
						t.Errorf("SubmitAndWait: %v", err)
						return
					}
					n += r.Reap(all[n:])
				}
				if all[0].Res != 8 || all[1].Res != 8 || int(p[0]) != (i+rings-1)%rings || p[1] != byte(round) {
					t.Errorf("ring %d, round %d: %v, %v", i, round, all, p)
					return
				}
			}
		}()
	}
	group.Wait()
}
