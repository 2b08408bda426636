package uring_test

import (
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func linked(s *uring.SQE)  { s.Flags |= uring.SQEIOLink }
func drained(s *uring.SQE) { s.Flags |= uring.SQEIODrain }

// waiting queues a read of an empty pipe, and returns what lets it go on.
func waiting(t *testing.T, r *uring.Ring, userData uint64, flags uring.SQEFlags) (release func()) {
	t.Helper()
	in, out := pipe(t)
	s := next(t, r, userData)
	s.PrepRead(in, pinnedBytes(t, 1), uring.CurrentPosition)
	s.Flags |= flags
	return func() { write(t, out, "x") }
}

func TestChainStartsBeforeItsHeadIsDone(t *testing.T) {
	for _, flag := range []uring.SQEFlags{uring.SQEIOLink, uring.SQEIOHardlink} {
		eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
			release := waiting(t, r, 1, flag)
			s := next(t, r, 2)
			s.PrepNop()
			s.Flags |= flag
			next(t, r, 3).PrepNop() // the end of the chain
			next(t, r, 4).PrepNop() // and one that has nothing to do with it
			submit(t, r)
			sequence(t, r, 4)
			quiet(t, r, "the head still waits")
			release()
			for _, c := range sequence(t, r, 1, 2, 3) {
				if c.Err() != nil {
					t.Errorf("%v: %+v", flag, c)
				}
			}
		})
	}
}

func TestTwoChainsInterfere(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	first := waiting(t, r, 1, uring.SQEIOLink)
	next(t, r, 2).PrepNop()
	second := waiting(t, r, 11, uring.SQEIOLink)
	next(t, r, 12).PrepNop()
	submit(t, r)
	quiet(t, r, "both heads wait")
	second()
	sequence(t, r, 11, 12)
	quiet(t, r, "the other head still waits")
	first()
	sequence(t, r, 1, 2)
}

// TestBrokenChainRunsOn breaks chains by an error and by a short read; entries
// after the chain must run.
func TestBrokenChainRunsOn(t *testing.T) {
	f := openFile(t, "ab")
	_, out := pipe(t)
	for name, breaks := range map[string]struct {
		prepare func(s *uring.SQE)
		result  int32
	}{
		// A bad descriptor would be found earlier by older kernels, in time to
		// cancel what comes before.
		"no socket":  {func(s *uring.SQE) { s.PrepRecv(out, pinnedBytes(t, 4), 0) }, -int32(unix.ENOTSOCK)},
		"short read": {func(s *uring.SQE) { s.PrepRead(int(f.Fd()), pinnedBytes(t, 4), 0) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
				for id := uint64(1); id <= 4; id++ {
					s := next(t, r, id)
					if s.PrepNop(); id == 2 {
						breaks.prepare(s)
					}
					if id != 4 {
						linked(s)
					}
				}
				next(t, r, 5).PrepNop()
				all := byUserData(t, reap(t, r, 5))
				if all[1].Err() != nil || all[2].Res != breaks.result || all[5].Err() != nil ||
					all[3].Err() != unix.ECANCELED || all[4].Err() != unix.ECANCELED {
					t.Errorf("completions: %v", all)
				}
			})
		})
	}
}

// TestInvalidLinkHangsItsChain has an entry in a chain that the kernel refuses
// when it reads it: none of the chain may run, and each must complete.
func TestInvalidLinkHangsItsChain(t *testing.T) {
	const badOp = 255
	for _, flag := range []uring.SQEFlags{uring.SQEIOLink, uring.SQEIOHardlink} {
		for bad := uint64(1); bad <= 3; bad++ {
			r := newRing(t, 8, uring.Config{Flags: uring.SetupSubmitAll})
			for id := uint64(1); id <= 3; id++ {
				s := next(t, r, id)
				if s.PrepNop(); id != 3 {
					s.Flags |= flag
				}
				if id == bad {
					s.Opcode = badOp
				}
			}
			if n, err := r.SubmitAndWait(3, -1); n != 3 || err != nil {
				t.Fatalf("SubmitAndWait = %d, %v", n, err)
			}
			for id, c := range byUserData(t, reap(t, r, 3)) {
				want := error(unix.ECANCELED)
				if id == bad {
					want = unix.EINVAL
				}
				if c.Err() != want {
					t.Errorf("%v, entry %d is bad: entry %d gives %v, want %v", flag, bad, id, c.Err(), want)
				}
			}
		}
	}
}

func TestDrainedEntryOvertakes(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		release := waiting(t, r, 1, 0)
		s := next(t, r, 2)
		s.PrepNop()
		drained(s)
		next(t, r, 3).PrepNop() // what comes after a drained one waits as well
		submit(t, r)
		quiet(t, r, "the entry before the drained one waits")
		release()
		// Whether what comes after waits for the drained one itself, or for what
		// that waits for, differs from kernel to kernel.
		if all := reap(t, r, 3); all[0].UserData != 1 || len(byUserData(t, all)) != 3 {
			t.Errorf("completions: %v", all)
		}
		// Over, the ring runs without order again.
		release = waiting(t, r, 4, 0)
		next(t, r, 5).PrepNop()
		submit(t, r)
		sequence(t, r, 5)
		release()
		sequence(t, r, 4)
	})
}

// TestDrainTearsChain drains at the head of a chain: all of it waits, and runs
// in order.
func TestDrainTearsChain(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		before := waiting(t, r, 1, 0)
		s := next(t, r, 2)
		s.PrepNop()
		drained(s)
		linked(s)
		inside := waiting(t, r, 3, uring.SQEIOLink)
		next(t, r, 4).PrepNop()
		submit(t, r)
		quiet(t, r, "the entry before the chain waits")
		before()
		c := sequence(t, r, 1, 2)
		if c[1].Err() != nil {
			t.Errorf("the drained head: %+v", c[1])
		}
		quiet(t, r, "the chain is not over")
		inside()
		sequence(t, r, 3, 4)
	})
}

// TestDrainForgetsMultishot: a multishot request counts as one that has not
// completed, however often it reports.
func TestDrainForgetsMultishot(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "synchronous cancel", uring.OpSendZC)
	in, out := pipe(t)
	next(t, r, target).PrepPollAdd(in, unix.POLLIN, true)
	s := next(t, r, 1)
	s.PrepNop()
	drained(s)
	submit(t, r)
	for range 3 {
		write(t, out, "x")
		if c := sequence(t, r, target)[0]; !c.More() {
			t.Fatalf("the poll ended: %+v", c)
		}
	}
	quiet(t, r, "the multishot request before the drained one lives")
	fatalIf(t, r.SyncCancel(uring.CancelMatch{UserData: target}, -1))
	sequence(t, r, target, 1)
}

// TestDrainWithLinkedTimeoutHangs cancels what a drained entry waits for by a
// timeout.
func TestDrainWithLinkedTimeoutHangs(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	waiting(t, r, 1, uring.SQEIOLink)
	next(t, r, 2).PrepLinkTimeout(pin(t, &uring.Timespec{Nsec: 2e6}), 0)
	s := next(t, r, 3)
	s.PrepNop()
	drained(s)
	all := reap(t, r, 3)
	if m := byUserData(t, all); all[2].UserData != 3 || m[1].Err() != unix.ECANCELED || m[2].Err() != unix.ETIME || m[3].Err() != nil {
		t.Errorf("completions: %v", all)
	}
}

// TestSkippedCompletionsHideFailure: entries with CQE_SKIP are silent when they
// succeed, and in a chain only the one that fails speaks.
func TestSkippedCompletionsHideFailure(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatCQESkip)
	chain := func(failing uint64, speaks bool) {
		for id := uint64(1); id <= 4; id++ {
			s := next(t, r, id)
			if s.PrepNop(); id == failing {
				s.PrepRead(-1, pinnedBytes(t, 1), 0)
			}
			if id != 4 {
				s.Flags |= uring.SQEIOLink
			}
			if id != failing || !speaks {
				s.Flags |= uring.SQECQESkipSuccess
			}
		}
	}
	chain(0, false)
	next(t, r, 5).PrepNop()
	submit(t, r)
	sequence(t, r, 5)
	quiet(t, r, "all four were to be silent")

	chain(2, false) // it stands for the whole chain
	submit(t, r)
	if c := sequence(t, r, 2)[0]; c.Err() != unix.EBADF {
		t.Errorf("the failing one: %+v", c)
	}
	quiet(t, r, "the rest of the chain was to be silent")

	chain(2, true) // then those behind it tell that they were cancelled
	all := byUserData(t, reap(t, r, 3))
	if all[2].Err() != unix.EBADF || all[3].Err() != unix.ECANCELED || all[4].Err() != unix.ECANCELED {
		t.Errorf("completions: %v", all)
	}
}

// TestLinkedOpenReadsOldFile opens a file into the table of files, reads and
// closes it in one chain, where another file was before.
func TestLinkedOpenReadsOldFile(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		since(t, r, "opening without a descriptor", uring.OpLinkat)
		needFeature(t, r, uring.FeatLinkedFile)
		old, fresh := openFile(t, "the old content"), openFile(t, "the new content")
		fatalIf(t, r.RegisterFiles([]int32{uring.FileEmpty, int32(old.Fd())}))
		p := pinnedBytes(t, 32)
		name := path(t, fresh.Name())
		for index := range uint32(2) {
			clear(p)
			s := next(t, r, 1)
			s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY, 0)
			s.Direct(index)
			linked(s)
			s = next(t, r, 2)
			s.PrepRead(int(index), p[:15], 0)
			fixed(s)
			linked(s)
			next(t, r, 3).PrepCloseDirect(index)
			all := sequence(t, r, 1, 2, 3)
			if all[0].Err() != nil || all[2].Err() != nil || string(p[:max(all[1].Res, 0)]) != "the new content" {
				t.Errorf("index %d: %v, read %q", index, all, p)
			}
		}
		c := do(t, r, func(s *uring.SQE) { s.PrepRead(0, p, 0); fixed(s) })
		wantErr(t, "after the chain", c.Err(), unix.EBADF)
	})
}

// TestLinkedOpenMissesDescriptor opens into the descriptor number that the next
// in the chain, or the drained one, uses: it must look when it starts.
func TestLinkedOpenMissesDescriptor(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatLinkedFile)
	f := openFile(t, "found")
	for _, flag := range []uring.SQEFlags{uring.SQEIOLink, 0} {
		fd, err := unix.Dup(int(f.Fd())) // the lowest free number
		fatalIf(t, err)
		fatalIf(t, unix.Close(fd))
		p := pinnedBytes(t, 5)
		s := next(t, r, 1)
		s.PrepOpenat(unix.AT_FDCWD, path(t, f.Name()), unix.O_RDONLY, 0)
		s.Flags |= flag
		s = next(t, r, 2)
		s.PrepRead(fd, p, 0)
		if flag == 0 {
			drained(s)
		}
		all := sequence(t, r, 1, 2)
		if all[0].Res != int32(fd) {
			t.Skipf("SKIP-KERNEL: another thread took descriptor %d first", fd)
		}
		if string(p) != "found" {
			t.Errorf("flag %v: %v, read %q", flag, all, p)
		}
		fatalIf(t, unix.Close(fd))
	}
}

func TestChainOfRegisteredFilesStops(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		in, out := pipe(t)
		fatalIf(t, r.RegisterFiles([]int32{int32(in), int32(out)}))
		p := pinnedBytes(t, 8)
		for i, text := range []string{"chain ", "of two"} {
			s := next(t, r, uint64(2*i+1))
			s.PrepWrite(1, pinnedText(t, text), uring.CurrentPosition)
			fixed(s)
			linked(s)
			s = next(t, r, uint64(2*i+2))
			s.PrepRead(0, p[:6], uring.CurrentPosition)
			fixed(s)
			if i == 0 {
				linked(s)
			}
		}
		for _, c := range sequence(t, r, 1, 2, 3, 4) {
			if c.Res != 6 {
				t.Errorf("%+v", c)
			}
		}
		if string(p[:6]) != "of two" {
			t.Errorf("read %q", p)
		}
	})
}

// TestLinkTimeoutMissesWaiters limits each kind of waiting, with and without
// success in time.
func TestLinkTimeoutMissesWaiters(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	listener, port := tcpListener(t, 0)
	in, out := pipe(t)
	a, z := socketPair(t)
	p := pinnedBytes(t, 8)
	short, long := pin(t, &uring.Timespec{Nsec: 2e6}), pin(t, &uring.Timespec{Sec: 1000})
	for name, kind := range map[string]struct {
		prepare func(s *uring.SQE)
		fulfil  func()
	}{
		"accept": {func(s *uring.SQE) { s.PrepAccept(listener, nil, nil, unix.SOCK_CLOEXEC, false) }, func() { dial(t, port) }},
		"poll":   {func(s *uring.SQE) { s.PrepPollAdd(in, unix.POLLIN, false) }, func() { write(t, out, "x") }},
		"recv":   {func(s *uring.SQE) { s.PrepRecv(a, p, 0) }, func() { write(t, z, "x") }},
	} {
		for _, limit := range []*uring.Timespec{short, long} {
			s := next(t, r, 1)
			kind.prepare(s)
			linked(s)
			next(t, r, 2).PrepLinkTimeout(limit, 0)
			submit(t, r)
			if limit == long {
				kind.fulfil()
			}
			all := byUserData(t, reap(t, r, 2))
			if limit == short && (all[1].Err() != unix.ECANCELED || all[2].Err() != unix.ETIME) {
				t.Errorf("%s over its limit: %v", name, all)
			}
			if limit == long && (all[1].Err() != nil || all[2].Err() != unix.ECANCELED) {
				t.Errorf("%s within its limit: %v", name, all)
			}
			if name == "accept" && all[1].Res >= 0 {
				unix.Close(int(all[1].Res))
			}
		}
	}
}

// TestLinkTimeoutInOddPlaces puts linked timeouts where they limit nothing.
func TestLinkTimeoutInOddPlaces(t *testing.T) {
	r := newRing(t, 8, uring.Config{Flags: uring.SetupSubmitAll})
	long := pin(t, &uring.Timespec{Sec: 1000})
	wantErr(t, "alone", do(t, r, func(s *uring.SQE) { s.PrepLinkTimeout(long, 0) }).Err(), unix.EINVAL)

	two := func(prepare func(s *uring.SQE)) map[uint64]uring.CQE {
		s := next(t, r, 1)
		prepare(s)
		linked(s)
		next(t, r, 2).PrepLinkTimeout(long, 0)
		return byUserData(t, reap(t, r, 2))
	}
	if all := two((*uring.SQE).PrepNop); all[1].Err() != nil || all[2].Err() != unix.ECANCELED {
		t.Errorf("behind what is done at once: %v", all)
	}
	if all := two(func(s *uring.SQE) { s.PrepRead(-1, pinnedBytes(t, 1), 0) }); all[1].Err() != unix.EBADF || all[2].Err() != unix.ECANCELED {
		t.Errorf("behind what fails: %v", all)
	}
	s := next(t, r, 1)
	s.PrepNop()
	linked(s)
	s = next(t, r, 2)
	s.PrepLinkTimeout(long, 0)
	linked(s)
	next(t, r, 3).PrepLinkTimeout(long, 0)
	for id, c := range byUserData(t, reap(t, r, 3)) {
		if c.Err() != unix.ECANCELED && c.Err() != unix.EINVAL {
			t.Errorf("two in a row: entry %d gives %v", id, c.Err())
		}
	}
}

// TestLinkTimeoutInTheMiddleCutsChain: what follows a limited entry runs when
// that was in time and is cancelled when it was not.
func TestLinkTimeoutInTheMiddleCutsChain(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	for _, late := range []bool{false, true} {
		limit := pin(t, &uring.Timespec{Sec: 1000})
		if late {
			*limit = uring.Timespec{Nsec: 2e6}
		}
		s := next(t, r, 1)
		s.PrepNop()
		linked(s)
		release := waiting(t, r, 2, uring.SQEIOLink)
		s = next(t, r, 3)
		s.PrepLinkTimeout(limit, 0)
		linked(s)
		next(t, r, 4).PrepNop()
		submit(t, r)
		if !late {
			release()
		}
		all := byUserData(t, reap(t, r, 4))
		want := map[uint64]error{1: nil, 2: nil, 3: unix.ECANCELED, 4: nil}
		if late {
			want = map[uint64]error{1: nil, 2: unix.ECANCELED, 3: unix.ETIME, 4: unix.ECANCELED}
		}
		for id, c := range all {
			if c.Err() != want[id] {
				t.Errorf("late %v: entry %d gives %v, want %v", late, id, c.Err(), want[id])
			}
		}
	}
}

// TestLinkedSendsAreReordered sends a long stream in pieces that are linked.
func TestLinkedSendsAreReordered(t *testing.T) {
	r := newRing(t, 16, uring.Config{})
	client, server := tcpPair(t)
	text := strings.Repeat("0123456789abcdef", 4096)
	data, got := pinnedText(t, text), pinnedBytes(t, len(text))
	const pieces = 8
	for i := range pieces {
		s := next(t, r, uint64(i))
		s.PrepSend(client, data[i*len(data)/pieces:(i+1)*len(data)/pieces], unix.MSG_WAITALL)
		if i != pieces-1 {
			linked(s)
		}
	}
	next(t, r, 100).PrepRecv(server, got, unix.MSG_WAITALL)
	for id, c := range byUserData(t, reap(t, r, pieces+1)) {
		if want := int32(len(data) / pieces); id != 100 && c.Res != want {
			t.Errorf("send %d: %+v, want %d", id, c, want)
		}
	}
	if string(got) != text {
		t.Error("the stream is out of order")
	}
}

// TestLinkedConnectSendsEarly connects and sends in one chain.
func TestLinkedConnectSendsEarly(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	listener, port := tcpListener(t, 0)
	fd := tcpSocket(t)
	s := next(t, r, 1)
	s.PrepConnect(fd, sockaddr4(t, port), uint32(unsafe.Sizeof(unix.RawSockaddrInet4{})))
	linked(s)
	next(t, r, 2).PrepSend(fd, pinnedText(t, "first words"), 0)
	if all := sequence(t, r, 1, 2); all[0].Err() != nil || all[1].Res != 11 {
		t.Fatalf("completions: %v", all)
	}
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	fatalIf(t, err)
	f := os.NewFile(uintptr(server), "server")
	defer f.Close()
	var p [32]byte
	if n, err := f.Read(p[:]); string(p[:n]) != "first words" {
		t.Errorf("received %q, %v", p[:n], err)
	}
}
