package uring_test

import (
	"os"
	"os/signal"
	"runtime"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestWrapAroundLosesOrReordersCompletions runs both queues round many times,
// with batches of every size, on rings of every entry layout.
func TestWrapAroundLosesOrReordersCompletions(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupNoSQArray, uring.SetupSQE128 | uring.SetupCQE32, uring.SetupNoMmap} {
		t.Run(flags.String(), func(t *testing.T) {
			r := newRing(t, 8, uring.Config{Flags: flags})
			var sent, got uint64
			buffer := make([]uring.CQE, 5) // smaller than a batch: Reap in pieces
			for round := range 20000 {
				for range round%8 + 1 {
					s := next(t, r, sent)
					s.PrepNop()
					sent++
				}
				submit(t, r)
				for got < sent {
					n := r.Reap(buffer)
					if n == 0 {
						t.Fatalf("%d completions are missing", sent-got)
					}
					for _, c := range buffer[:n] {
						if c.UserData != got || c.Res != 0 {
							t.Fatalf("%+v came, want user data %d", c, got)
						}
						got++
					}
				}
			}
			if r.Completions() != 0 || r.Queued() != 0 || r.Dropped() != 0 || r.OverflowCount() != 0 {
				t.Errorf("left: %d completions, %d queued, %d dropped, %d lost",
					r.Completions(), r.Queued(), r.Dropped(), r.OverflowCount())
			}
		})
	}
}

func TestFullQueueHandsOutEntryTwice(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	for i := range uint32(4) {
		if r.Space() != 4-i {
			t.Fatalf("Space = %d, want %d", r.Space(), 4-i)
		}
		next(t, r, uint64(i)).PrepNop()
	}
	if s := r.Next(); s != nil || r.Queued() != 4 || r.Space() != 0 {
		t.Fatalf("a full queue gives %v, queued %d, space %d", s, r.Queued(), r.Space())
	}
	submit(t, r)
	next(t, r, 4).PrepNop()
	submit(t, r)
	if all := byUserData(t, reap(t, r, 5)); len(all) != 5 {
		t.Errorf("completions: %v", all)
	}
}

func TestNextLeavesOldContents(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupSQE128} {
		r := newRing(t, 1, uring.Config{Flags: flags})
		want := 16
		if flags != 0 {
			want = 80
		}
		for range 3 {
			s := r.Next()
			command := r.Command(s)
			if len(command) != want {
				t.Fatalf("%v: the command area has %d bytes, want %d", flags, len(command), want)
			}
			for i, b := range command {
				if b != 0 {
					t.Fatalf("%v: byte %d of the command area is left over", flags, i)
				}
				command[i] = 0xff
			}
			if s.Addr3 != ^uint64(0) {
				t.Fatal("the command area does not start at Addr3")
			}
			s.Addr3 = 0
			if *s != (uring.SQE{}) {
				t.Fatalf("%v: not zeroed: %+v", flags, s)
			}
			s.Ioprio = 77 // NOP does not look at it
			submit(t, r)
			reap(t, r, 1)
		}
	}
}

func TestSubmitWithoutEntriesEntersKernel(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupRDisabled})
	// A disabled ring answers EBADFD to every entry of the kernel.
	if n, err := r.Submit(); n != 0 || err != nil {
		t.Errorf("Submit = %d, %v", n, err)
	}
	if n, err := r.SubmitGetEvents(); n != 0 || err != unix.EBADFD {
		t.Errorf("SubmitGetEvents = %d, %v, want EBADFD: it always enters", n, err)
	}
}

func TestShortSubmitLosesEntries(t *testing.T) {
	const badOp = 255
	for _, tc := range []struct {
		flags uring.SetupFlags
		want  []uint32
	}{{0, []uint32{2, 2}}, {uring.SetupSubmitAll, []uint32{4}}} {
		r := newRing(t, 4, uring.Config{Flags: tc.flags})
		for i := range uint64(4) {
			if s := next(t, r, i); i == 1 {
				s.Opcode = badOp
			}
		}
		left := uint32(4)
		for _, want := range tc.want {
			n, err := r.Submit()
			if left -= want; n != want || err != nil || r.Queued() != left {
				t.Fatalf("%v: Submit = %d, %v with %d left; want %d with %d", tc.flags, n, err, r.Queued(), want, left)
			}
		}
		for id, c := range byUserData(t, reap(t, r, 4)) {
			if want := id == 1; (c.Err() == unix.EINVAL) != want {
				t.Errorf("%v: entry %d gave %v", tc.flags, id, c.Err())
			}
		}
	}
}

func TestShortSubmitWaits(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	next(t, r, 1).Opcode = 255
	next(t, r, 2).PrepNop()
	// It would wait for ever for the second one.
	if n, err := r.SubmitAndWait(2, -1); n != 1 || err != nil || r.Completions() != 1 {
		t.Errorf("SubmitAndWait = %d, %v with %d completions, want 1 with 1", n, err, r.Completions())
	}
}

// overflow submits n entries on a ring of 8 without reaping, then reaps all.
func overflow(t *testing.T, n int, prepare func(s *uring.SQE), want int32) {
	r := newRing(t, 8, uring.Config{})
	if !r.Features().Has(uring.FeatNoDrop) {
		skipKernel(t, "completions that do not fit are lost")
	}
	for sent := 0; sent < n; {
		for range min(8, n-sent) {
			prepare(next(t, r, uint64(sent)))
			sent++
		}
		submit(t, r)
	}
	eventually(t, "the queue overflows", r.Overflowed)
	seen := make([]bool, n)
	buffer := make([]uring.CQE, 64)
	for got := 0; got < n; {
		k := r.Reap(buffer)
		for _, c := range buffer[:k] {
			if c.Res != want || seen[c.UserData] {
				t.Fatalf("%+v came, twice: %v", c, seen[c.UserData])
			}
			seen[c.UserData] = true
			got++
		}
		if k != 0 {
			continue
		}
		if r.Overflowed() {
			_, err := r.SubmitGetEvents()
			fatalIf(t, err)
		} else if err := r.Wait(1, 10*time.Second); err != nil && err != unix.EINTR {
			t.Fatalf("after %d completions: %v", got, err)
		}
	}
	if r.Overflowed() || r.OverflowCount() != 0 || r.Completions() != 0 {
		t.Errorf("left: overflowed %v, lost %d, completions %d", r.Overflowed(), r.OverflowCount(), r.Completions())
	}
}

func TestOverflowLosesNops(t *testing.T) {
	overflow(t, 10000, (*uring.SQE).PrepNop, 0)
}

func TestOverflowLosesTimeouts(t *testing.T) {
	soon := pin(t, &uring.Timespec{Nsec: 1000})
	overflow(t, 10000, func(s *uring.SQE) { s.PrepTimeout(soon, 0, 0) }, -int32(unix.ETIME))
}

func TestWaitIgnoresTimeout(t *testing.T) {
	r := newRing(t, 4, uring.Config{NoIOWait: true})
	if !r.Features().Has(uring.FeatExtArg) {
		skipKernel(t, "no timeouts")
	}
	const patience = 20 * time.Millisecond
	for name, wait := range map[string]func() error{
		"SubmitAndWait": func() error { _, err := r.SubmitAndWait(1, patience); return err },
		"Wait":          func() error { return r.Wait(1, patience) },
	} {
		start, err := time.Now(), wait()
		for err == unix.EINTR {
			start, err = time.Now(), wait()
		}
		wantErr(t, name, err, unix.ETIME)
		if took := time.Since(start); took < patience {
			t.Errorf("%s came back after %v, before its timeout of %v", name, took, patience)
		}
	}
	// A timeout of 0 does not wait, whatever min says, and does submit.
	next(t, r, 0).PrepNop()
	if n, err := r.SubmitAndWait(3, 0); n != 1 || err != nil {
		t.Errorf("with timeout 0: %d, %v", n, err)
	}
	if n, err := r.SubmitAndWait(3, 0); n != 0 || err != nil {
		t.Errorf("with timeout 0 and nothing to submit: %d, %v", n, err)
	}
	// How the wait ended is hidden when something was submitted.
	next(t, r, 0).PrepNop()
	if n, err := r.SubmitAndWait(3, time.Millisecond); n != 1 || err != nil || r.Completions() != 2 {
		t.Errorf("with one submitted: %d, %v, %d completions", n, err, r.Completions())
	}
	reap(t, r, 2)
}

func TestMinWaitWaitsForAll(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	if !r.Features().Has(uring.FeatMinTimeout) {
		skipKernel(t, "no minimum wait")
	}
	const patience = 5 * time.Millisecond
	next(t, r, 0).PrepNop()
	submit(t, r)
	wait := func(timeout time.Duration) (took time.Duration, err error) {
		for {
			start := time.Now()
			if _, err = r.SubmitAndWaitMin(3, patience, timeout); err != unix.EINTR {
				return time.Since(start), err
			}
		}
	}
	// Without the minimum it would wait for ever. A signal ends it early, which the
	// kernel does not say where there are completions.
	took, err := wait(-1)
	for tries := 0; err == nil && took < patience && tries < 100; tries++ {
		took, err = wait(-1)
	}
	if err != nil || took < patience {
		t.Errorf("SubmitAndWaitMin: %v after %v; want nil, not before %v", err, took, patience)
	}
	reap(t, r, 1)
	_, err = wait(4 * patience)
	wantErr(t, "without completions", err, unix.ETIME)
}

func TestOldKernelIgnoresTimeout(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	r.ForgetFeatures(uring.FeatExtArg | uring.FeatMinTimeout)
	next(t, r, 0).PrepNop()
	for name, wait := range map[string]func() error{
		"SubmitAndWait":    func() error { _, err := r.SubmitAndWait(1, time.Second); return err },
		"SubmitAndWaitMin": func() error { _, err := r.SubmitAndWaitMin(1, time.Second, -1); return err },
		"Wait":             func() error { return r.Wait(1, time.Second) },
	} {
		wantErr(t, name, wait(), unix.ENOSYS)
	}
	if r.Queued() != 1 {
		t.Error("the entry was submitted in spite of the error")
	}
	if n, err := r.SubmitAndWait(1, -1); n != 1 || err != nil || r.Completions() != 1 {
		t.Errorf("without timeout: %d, %v", n, err)
	}
}

func TestSignalIsSwallowed(t *testing.T) {
	r := newRing(t, 4, uring.Config{})
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGUSR1)
	defer signal.Stop(signals)
	thread := make(chan int, 1)
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		_, err := r.SubmitAndWait(1, -1)
		result <- err
	}()
	tid := <-thread
	for {
		fatalIf(t, unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1))
		select {
		case err := <-result:
			wantErr(t, "the interrupted wait", err, unix.EINTR)
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestDeferredWorkIsNotReported(t *testing.T) {
	lockThread(t)
	const flags = uring.SetupSingleIssuer | uring.SetupDeferTaskrun | uring.SetupTaskrunFlag
	r := newRing(t, 4, uring.Config{Flags: flags})
	in, out := pipe(t)
	p := pinnedBytes(t, 4)
	next(t, r, 1).PrepRead(in, p, uring.CurrentPosition)
	submit(t, r)
	if r.NeedsTaskrun() {
		t.Fatal("there is work before there is data")
	}
	write(t, out, "work")
	eventually(t, "NeedsTaskrun", r.NeedsTaskrun)
	if r.Completions() != 0 {
		t.Error("the completion came without its work being run")
	}
	// Mostly one call does it; on kernel 6.1 the first one was seen to run what
	// wakes the read, and only the next one the read.
	eventually(t, "SubmitGetEvents has run the work", func() bool {
		if n, err := r.SubmitGetEvents(); n != 0 || err != nil {
			t.Fatalf("SubmitGetEvents = %d, %v", n, err)
		}
		return r.Completions() == 1 && !r.NeedsTaskrun()
	})
	if c := reap(t, r, 1)[0]; c.Res != 4 || string(p) != "work" {
		t.Errorf("read %+v, %q", c, p)
	}
}

func TestSleepingPollThreadIsNotWoken(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupSQPoll, SQThreadIdle: time.Millisecond})
	for i := range uint64(3) {
		eventually(t, "the thread sleeps", r.ThreadSleeps)
		next(t, r, i).PrepNop()
		if n, err := r.Submit(); n != 1 || err != nil {
			t.Fatalf("Submit = %d, %v, want 1", n, err)
		}
		eventually(t, "the completion", func() bool { return r.Completions() == 1 })
		reap(t, r, 1)
	}
}

func TestPollThreadLosesEntriesOfFullQueue(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupSQPoll, SQThreadIdle: time.Millisecond})
	const all = 5000
	var sent, got uint64
	buffer := make([]uring.CQE, 8)
	for got < all {
		if sent < all {
			if s := r.Next(); s != nil {
				s.UserData = sent
				sent++
				if sent%3 == 0 {
					_, err := r.Submit()
					fatalIf(t, err)
				}
			} else {
				fatalIf(t, r.WaitSpace())
				if r.Space() == 0 {
					t.Fatal("no space after WaitSpace")
				}
			}
		} else if _, err := r.SubmitAndWait(1, time.Second); err != nil && err != unix.EINTR {
			t.Fatalf("after %d: %v", got, err)
		}
		for _, c := range buffer[:r.Reap(buffer)] {
			if c.UserData != got {
				t.Fatalf("%+v came, want %d", c, got)
			}
			got++
		}
		if r.Overflowed() {
			_, err := r.SubmitGetEvents()
			fatalIf(t, err)
		}
	}
}

func TestPollThreadHidesTimeout(t *testing.T) {
	r := newRing(t, 4, uring.Config{Flags: uring.SetupSQPoll, SQThreadIdle: time.Second})
	in, out := pipe(t)
	next(t, r, 1).PrepRead(in, pinnedBytes(t, 1), uring.CurrentPosition)
	n, err := r.SubmitAndWait(1, 5*time.Millisecond)
	for err == unix.EINTR {
		_, err = r.SubmitAndWait(1, 5*time.Millisecond)
	}
	if n != 1 || err != unix.ETIME {
		t.Errorf("SubmitAndWait = %d, %v; want 1 and ETIME", n, err)
	}
	write(t, out, "x")
	reap(t, r, 1)
}

func TestWaiterAndSubmitterDisturbEachOther(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	const all = 5000
	reaped := make(chan uint64)
	go func() {
		var got uint64
		var seen [all]bool // the order is not kept by every kernel when the queue overflows
		buffer := make([]uring.CQE, 4)
		for got < all {
			if err := r.Wait(1, time.Second); err != nil && err != unix.EINTR {
				t.Errorf("Wait: %v", err)
				break
			}
			for _, c := range buffer[:r.Reap(buffer)] {
				if c.UserData >= all || seen[c.UserData] {
					t.Errorf("%+v came, for the second time", c)
				} else {
					seen[c.UserData] = true
				}
				got++
			}
		}
		reaped <- got
	}()
	for i := range uint64(all) {
		next(t, r, i).PrepNop()
		submit(t, r)
	}
	if n := <-reaped; n != all {
		t.Errorf("%d completions came, want %d", n, all)
	}
}

// TestMixedQueueLosesBigCompletions makes two of three completions big, so that
// in a mixed queue fillers are needed before the wrap.
func TestMixedQueueLosesBigCompletions(t *testing.T) {
	for _, flags := range []uring.SetupFlags{uring.SetupCQE32, uring.SetupCQEMixed} {
		t.Run(flags.String(), func(t *testing.T) {
			newRing(t, 8, uring.Config{Flags: uring.SetupCQEMixed}) // NOPs that post big completions: the same kernel
			r := newRing(t, 8, uring.Config{Flags: flags})
			var sent, got uint64
			for round := range 2000 {
				for range round%3 + 1 {
					s := next(t, r, sent)
					if s.PrepNop(); sent%3 != 0 {
						s.OpFlags = uring.NopCQE32
						s.Off, s.Addr = sent+1, sent+2
					}
					sent++
				}
				submit(t, r)
				for got < sent {
					n := checkBig(t, r, got, round%5 == 0)
					if n == 0 {
						t.Fatalf("%d completions are missing", sent-got)
					}
					got += n
				}
			}
		})
	}
}

// checkBig reaps up to two completions, the first of which has user data id.
func checkBig(t *testing.T, r *uring.Ring, id uint64, short bool) uint64 {
	t.Helper()
	if short {
		var buffer [2]uring.CQE
		n := r.Reap(buffer[:])
		for i, c := range buffer[:n] {
			if c.UserData != id+uint64(i) || c.Res != 0 {
				t.Fatalf("%+v came, want %d", c, id+uint64(i))
			}
		}
		return uint64(n)
	}
	buffer := [2]uring.CQE32{{Extra: [2]uint64{1, 1}}, {Extra: [2]uint64{1, 1}}}
	n := r.ReapBig(buffer[:])
	for i, c := range buffer[:n] {
		id := id + uint64(i)
		var extra [2]uint64
		if id%3 != 0 {
			extra = [2]uint64{id + 1, id + 2}
		}
		if c.UserData != id || c.Res != 0 || c.Extra != extra {
			t.Fatalf("%+v came, want %d with %v", c, id, extra)
		}
	}
	return uint64(n)
}
