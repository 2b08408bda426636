package uring_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func eventfd(t *testing.T, start uint) int {
	t.Helper()
	fd, err := unix.Eventfd(start, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	fatalIf(t, err)
	return closeLater(t, fd)
}

func signalEventfd(t *testing.T, fd int) {
	t.Helper()
	write(t, fd, string(binary.NativeEndian.AppendUint64(nil, 1)))
}

// TestPollDiffersFromPoll2 asks the ring and poll(2) about the same descriptors.
func TestPollDiffersFromPoll2(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	in, out := pipe(t)
	full, fullOut := pipe(t)
	write(t, fullOut, "x")
	a, z := socketPair(t)
	half, other := socketPair(t)
	fatalIf(t, unix.Shutdown(other, unix.SHUT_WR))
	hung, gone := pipe(t)
	fatalIf(t, unix.Dup3(in, gone, unix.O_CLOEXEC)) // the only writer is gone
	deadIn, dead := pipe(t)
	fatalIf(t, unix.Dup3(out, deadIn, unix.O_CLOEXEC)) // the only reader is gone
	_ = z
	for name, fd := range map[string]int{
		"pipe, to read": in, "pipe, to write": out, "pipe with data": full, "socket": a, "shut down socket": half,
		"pipe without writers": hung, "pipe without readers": dead,
		"eventfd": eventfd(t, 0), "eventfd with events": eventfd(t, 1), "file": int(openFile(t, "x").Fd()),
	} {
		for _, mask := range []int16{unix.POLLIN, unix.POLLOUT, unix.POLLIN | unix.POLLOUT | unix.POLLPRI, unix.POLLRDHUP} {
			fds := []unix.PollFd{{Fd: int32(fd), Events: mask}}
			_, err := unix.Poll(fds, 0)
			fatalIf(t, err)
			next(t, r, target).PrepPollAdd(fd, uint32(mask), false)
			submit(t, r)
			got := int16(0)
			unasked := ^(mask | unix.POLLERR | unix.POLLHUP)
			if posted(t, r) != 0 {
				got = int16(sequence(t, r, target)[0].Res)
			} else {
				next(t, r, 1).PrepPollRemove(target)
				reap(t, r, 2)
			}
			if got < 0 && name == "file" && mask == unix.POLLRDHUP {
				continue // it cannot be polled, which poll(2) hides
			}
			if got &^= unasked & unix.POLLRDHUP; got != fds[0].Revents {
				t.Errorf("%s, events %#x: the ring says %#x, poll(2) %#x", name, mask, got, fds[0].Revents)
			}
		}
	}
}

// TestManyPollsAreMixedUp polls many pipes at the same time and makes them
// ready in any order.
func TestManyPollsAreMixedUp(t *testing.T) {
	r := newRing(t, 64, uring.Config{CQEntries: 1024})
	const pipes = 200
	var ends [pipes][2]int
	for i := range ends {
		ends[i][0], ends[i][1] = pipe(t)
	}
	arm := func(i int) {
		if r.Space() == 0 {
			submit(t, r)
		}
		next(t, r, uint64(i)).PrepPollAdd(ends[i][0], unix.POLLIN, false)
	}
	for i := range ends {
		arm(i)
	}
	submit(t, r)
	var p [8]byte
	for range 20 {
		ready := rand.Perm(pipes)[:30]
		want := map[uint64]bool{}
		for _, i := range ready {
			write(t, ends[i][1], "x")
			want[uint64(i)] = true
		}
		for id, c := range byUserData(t, reap(t, r, len(ready))) {
			if !want[id] || c.Res != unix.POLLIN {
				t.Fatalf("%+v came; ready were %v", c, ready)
			}
		}
		for _, i := range ready {
			_, err := unix.Read(ends[i][0], p[:])
			fatalIf(t, err)
			arm(i)
		}
		submit(t, r)
	}
	quiet(t, r, "nothing is ready")
}

// TestManyPollsSurviveTheirRemoval removes a thousand polls of one pipe.
func TestManyPollsSurviveTheirRemoval(t *testing.T) {
	r := newRing(t, 64, uring.Config{CQEntries: 4096})
	in, out := pipe(t)
	const polls = 1000
	queue := func(id uint64, prepare func(s *uring.SQE)) {
		if r.Space() == 0 {
			submit(t, r)
		}
		prepare(next(t, r, id))
	}
	for i := range uint64(polls) {
		queue(i, func(s *uring.SQE) { s.PrepPollAdd(in, unix.POLLIN, false) })
	}
	for i := range uint64(polls) {
		queue(polls+i, func(s *uring.SQE) { s.PrepPollRemove(i) })
	}
	for id, c := range byUserData(t, reap(t, r, 2*polls)) {
		if id < polls && c.Err() != unix.ECANCELED || id >= polls && c.Err() != nil {
			t.Fatalf("%+v", c)
		}
	}
	write(t, out, "x")
	quiet(t, r, "all polls are gone")
}

// TestMultishotPollUpdateIsForgotten renames multishot polls and changes their
// events while they go on.
func TestMultishotPollUpdateIsForgotten(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatRsrcTags) // multishot polls: the same kernel
	a, z := socketPair(t)
	next(t, r, 1).PrepPollAdd(a, unix.POLLRDHUP, true)
	submit(t, r)
	write(t, z, "x")
	quiet(t, r, "data was not asked for")
	const flags = uring.PollUpdateEvents | uring.PollUpdateUserData | uring.PollAddMulti
	next(t, r, 9).PrepPollUpdate(1, 2, unix.POLLIN, flags)
	all := byUserData(t, reap(t, r, 2)) // it is ready already
	if all[9].Err() != nil || all[2].Res&unix.POLLIN == 0 || !all[2].More() {
		t.Fatalf("after the update: %v", all)
	}
	for range 3 {
		write(t, z, "x")
		if c := sequence(t, r, 2)[0]; c.Res&unix.POLLIN == 0 || !c.More() {
			t.Fatalf("%+v", c)
		}
	}
	c := do(t, r, func(s *uring.SQE) { s.PrepPollUpdate(1, 3, unix.POLLIN, flags) })
	wantErr(t, "the old name", c.Err(), unix.ENOENT)
	next(t, r, 9).PrepPollRemove(2)
	if all := byUserData(t, reap(t, r, 2)); all[9].Err() != nil || all[2].Err() != unix.ECANCELED {
		t.Errorf("after the removal: %v", all)
	}
}

// TestOverflowingMultishotPollEndsSilently lets a multishot poll report more
// often than the queue has room. It may end, but must say so, and not before
// all of its reports.
func TestOverflowingMultishotPollEndsSilently(t *testing.T) {
	r := newRing(t, 2, uring.Config{CQEntries: 4})
	needFeature(t, r, uring.FeatRsrcTags)
	fd := eventfd(t, 0)
	next(t, r, target).PrepPollAdd(fd, unix.POLLIN, true)
	submit(t, r)
	for range 32 {
		signalEventfd(t, fd)
		posted(t, r)
	}
	over := false
	reports := 0
	buffer := make([]uring.CQE, 1)
	for posted(t, r) != 0 {
		r.Reap(buffer)
		reports++
		if c := buffer[0]; c.UserData != target || c.Res != unix.POLLIN || over {
			t.Fatalf("report %d is %+v; the poll had ended: %v", reports, c, over)
		}
		over = !buffer[0].More()
	}
	if reports < 4 || r.OverflowCount() != 0 {
		t.Errorf("%d reports came, %d were lost", reports, r.OverflowCount())
	}
	next(t, r, 1).PrepPollRemove(target)
	if over {
		wantErr(t, "removing what has ended", sequence(t, r, 1)[0].Err(), unix.ENOENT)
	} else if all := byUserData(t, reap(t, r, 2)); all[target].Err() != unix.ECANCELED || all[1].Err() != nil {
		t.Errorf("after the removal: %v", all)
	}
}

// TestRingThatWatchesItselfRunsAway polls, by multishot, the eventfd and the
// epoll instance that the ring itself makes ready when it completes something.
func TestRingThatWatchesItselfRunsAway(t *testing.T) {
	for _, kind := range []string{"eventfd", "epoll"} {
		t.Run(kind, func(t *testing.T) {
			r := newRing(t, 8, uring.Config{})
			// Older ones stop only when the queue is full.
			needFeature(t, r, uring.FeatRegRegRing)
			var watched int
			if kind == "eventfd" {
				watched = eventfd(t, 0)
				fatalIf(t, r.RegisterEventfd(watched))
			} else {
				epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
				fatalIf(t, err)
				watched = closeLater(t, epfd)
				fatalIf(t, unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, r.Fd(), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}))
			}
			next(t, r, target).PrepPollAdd(watched, unix.POLLIN, true)
			next(t, r, 1).PrepNop()
			submit(t, r)
			for range 20 {
				posted(t, r)
			}
			if n := r.Completions(); n < 1 || n >= r.CQEntries() || r.Overflowed() {
				t.Errorf("%d completions, overflowed: %v", n, r.Overflowed())
			}
		})
	}
}

// TestWaitersForOneSocketStarve has several receives of one socket waiting when
// the messages come.
func TestWaitersForOneSocketStarve(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		a, z := datagramPair(t)
		const waiters = 8
		var p [waiters][]byte
		for round := range 10 {
			for i := range p {
				p[i] = pinnedBytes(t, 4)
				next(t, r, uint64(i)).PrepRecv(a, p[i], 0)
			}
			submit(t, r)
			if round%2 == 0 {
				quiet(t, r, "there is no message")
			}
			seen := [waiters]bool{}
			for i := range p {
				write(t, z, string([]byte{byte(i), byte(round)}))
			}
			for id, c := range byUserData(t, reap(t, r, waiters)) {
				if c.Res != 2 || p[id][1] != byte(round) || seen[p[id][0]] {
					t.Fatalf("round %d, waiter %d: %+v, %v", round, id, c, p[id])
				}
				seen[p[id][0]] = true
			}
		}
	})
}

// TestEventsOfEventfdRing has each of two rings poll the eventfd of the other.
func TestEventsOfEventfdRing(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		other := newRing(t, 8, uring.Config{})
		mine, its := eventfd(t, 0), eventfd(t, 0)
		fatalIf(t, r.RegisterEventfd(mine))
		fatalIf(t, other.RegisterEventfd(its))
		next(t, r, 1).PrepPollAdd(its, unix.POLLIN, false)
		next(t, other, 2).PrepPollAdd(mine, unix.POLLIN, false)
		submit(t, r)
		submit(t, other)
		quiet(t, other, "nothing has completed")
		next(t, r, 3).PrepNop() // completes, which wakes other, which wakes r
		all := byUserData(t, reap(t, r, 2))
		if all[1].Res != unix.POLLIN || all[3].Err() != nil {
			t.Errorf("completions: %v", all)
		}
		if c := sequence(t, other, 2)[0]; c.Res != unix.POLLIN {
			t.Errorf("the other ring: %+v", c)
		}
	})
}

// TestTerminalIsPolledHalf polls a terminal, which has a queue for each
// direction, for both.
func TestTerminalIsPolledHalf(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		skipKernel(t, "no terminals: %v", err)
	}
	closeLater(t, master)
	fatalIf(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		skipKernel(t, "no other end: %v", errno)
	}
	tty := closeLater(t, int(slave))
	next(t, r, 1).PrepPollAdd(tty, unix.POLLIN, true)
	submit(t, r)
	quiet(t, r, "nothing was typed")
	if got := must(t, r, func(s *uring.SQE) { s.PrepPollAdd(tty, unix.POLLIN|unix.POLLOUT, false) }); got != unix.POLLOUT {
		t.Errorf("for both directions: %#x, want POLLOUT", got)
	}
	s := next(t, r, 2)
	s.PrepWrite(tty, pinnedText(t, "to the master"), uring.CurrentPosition)
	s.Flags |= uring.SQEAsync
	if c := sequence(t, r, 2)[0]; c.Res != 13 {
		t.Errorf("write: %+v", c)
	}
	write(t, master, "typed\n")
	if c := sequence(t, r, 1)[0]; c.Res&unix.POLLIN == 0 {
		t.Errorf("when something was typed: %+v", c)
	}
	next(t, r, 3).PrepCancel(1, 0)
	all := reap(t, r, 2)
	for !terminal(all, 1) {
		all = append(all, reap(t, r, 1)...)
	}
}

// terminal tells whether the last completion of a request is among them.
func terminal(all []uring.CQE, userData uint64) bool {
	for _, c := range all {
		if c.UserData == userData && !c.More() {
			return true
		}
	}
	return false
}

// TestSignalDescriptorLocksUp polls and reads a signalfd on the thread that the
// signal is for.
func TestSignalDescriptorLocksUp(t *testing.T) {
	lockThread(t)
	r := newRing(t, 8, uring.Config{})
	set := unix.Sigset_t{}
	number := unix.SIGUSR2
	set.Val[(number-1)/uint0(set)] |= 1 << ((number - 1) % uint0(set))
	var old unix.Sigset_t
	fatalIf(t, unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old))
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	fd, err := unix.Signalfd(-1, &set, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK)
	fatalIf(t, err)
	closeLater(t, fd)
	next(t, r, target).PrepPollAdd(fd, unix.POLLIN, false)
	submit(t, r)
	quiet(t, r, "there was no signal")
	fatalIf(t, unix.Tgkill(os.Getpid(), unix.Gettid(), number))
	if c := sequence(t, r, target)[0]; c.Res != unix.POLLIN {
		t.Errorf("poll: %+v", c)
	}
	p := pinnedBytes(t, int(unsafe.Sizeof(unix.SignalfdSiginfo{})))
	c := do(t, r, func(s *uring.SQE) { s.PrepRead(fd, p, uring.CurrentPosition) })
	n := int(c.Res)
	if c.Err() == unix.EAGAIN { // older kernels read by a worker, who has other signals
		n, err = unix.Read(fd, p)
		fatalIf(t, err)
	}
	if n != len(p) || binary.NativeEndian.Uint32(p) != uint32(number) {
		t.Errorf("read %d bytes, signal %d", n, binary.NativeEndian.Uint32(p))
	}
	// Closing it under a poll frees what the poll waits on.
	next(t, r, target).PrepPollAdd(fd, unix.POLLIN, false)
	submit(t, r)
	fatalIf(t, unix.Dup3(eventfd(t, 0), fd, unix.O_CLOEXEC))
	next(t, r, 1).PrepPollRemove(target)
	if all := byUserData(t, reap(t, r, 2)); all[target].Err() != unix.ECANCELED {
		t.Errorf("after the removal: %v", all)
	}
}

// uint0 is how many bits a word of the set has.
func uint0(set unix.Sigset_t) unix.Signal {
	return unix.Signal(8 * unsafe.Sizeof(set.Val[0]))
}

// TestBlockedThreadRunsNoCompletions blocks the thread that submitted in a
// read(2) of the ring's eventfd: completing must interrupt it.
func TestBlockedThreadRunsNoCompletions(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupCoopTaskrun, uring.SetupSQPoll} {
		t.Run(flags.String(), func(t *testing.T) {
			lockThread(t)
			r := newRing(t, 8, uring.Config{Flags: flags})
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			fatalIf(t, err)
			closeLater(t, fd)
			fatalIf(t, r.RegisterEventfd(fd))
			release := waiting(t, r, 1, 0)
			submit(t, r)
			done := make(chan struct{})
			go func() { defer close(done); release() }()
			var p [8]byte
			if n, err := unix.Read(fd, p[:]); n != 8 || err != nil {
				t.Errorf("read(2) = %d, %v", n, err)
			}
			<-done
			sequence(t, r, 1)
		})
	}
}
