package uring_test

import (
	"fmt"
	"testing"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestEverySizeFills fills queues of every size to the brim.
func TestEverySizeFills(t *testing.T) {
	for size := uint32(1); size <= uring.MaxEntries; size *= 2 {
		r := newRing(t, size, uring.Config{})
		if r.SQEntries() != size || r.CQEntries() < 2*size && size != uring.MaxEntries {
			t.Fatalf("New(%d) has %d and %d entries", size, r.SQEntries(), r.CQEntries())
		}
		var id uint64
		for range r.CQEntries() / size {
			for range size {
				next(t, r, id).PrepNop()
				id++
			}
			if r.Next() != nil || r.Space() != 0 {
				t.Fatalf("size %d: the queue is not full", size)
			}
			submit(t, r)
		}
		if r.Completions() != r.CQEntries() || r.Overflowed() {
			t.Fatalf("size %d: %d completions, overflowed: %v", size, r.Completions(), r.Overflowed())
		}
		for i, c := range reap(t, r, int(id)) {
			if c.UserData != uint64(i) {
				t.Fatalf("size %d: completion %d is %+v", size, i, c)
			}
		}
		fatalIf(t, r.Close())
	}
}

// TestReapTakesMoreThanAsked reaps in pieces of every size.
func TestReapTakesMoreThanAsked(t *testing.T) {
	r := newRing(t, 16, uring.Config{})
	buffer := make([]uring.CQE, 16)
	if n := r.Reap(buffer); n != 0 || r.Completions() != 0 {
		t.Fatalf("an empty queue gives %d of %d", n, r.Completions())
	}
	for size := range 17 {
		for i := range uint64(10) {
			next(t, r, i).PrepNop()
		}
		submit(t, r)
		var got uint64
		for left := 10; left > 0; {
			if int(r.Completions()) != left {
				t.Fatalf("%d completions are ready, want %d", r.Completions(), left)
			}
			n := r.Reap(buffer[:size])
			if n != min(size, left) {
				t.Fatalf("Reap of %d with %d ready gives %d", size, left, n)
			}
			for _, c := range buffer[:n] {
				if c.UserData != got {
					t.Fatalf("%+v came, want %d", c, got)
				}
				got++
			}
			if left -= n; size == 0 {
				reap(t, r, 10)
				left = 0
			}
		}
	}
}

// TestInjectedResultIsAnotherOne has NOPs complete with given results, large
// and negative ones.
func TestInjectedResultIsAnotherOne(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needFeature(t, r, uring.FeatRecvsendBundle) // kernel 6.10
		for _, want := range []int32{1, -int32(unix.EPERM), 1<<31 - 1, -1 << 31, -4711} {
			c := do(t, r, func(s *uring.SQE) {
				s.PrepNop()
				s.OpFlags, s.Len = uring.NopInjectResult, uint32(want)
			})
			if c.Res != want {
				t.Errorf("result %d, want %d", c.Res, want)
			}
		}
		c := do(t, r, func(s *uring.SQE) { s.PrepNop(); s.OpFlags = 1 << 30 })
		wantErr(t, "unknown flags", c.Err(), unix.EINVAL)
	})
}

// TestOverflowReordersCompletions overflows with results of known order.
func TestOverflowReordersCompletions(t *testing.T) {
	for _, flags := range []uring.SetupFlags{0, uring.SetupCQE32, uring.SetupSQE128 | uring.SetupCQE32} {
		t.Run(flags.String(), func(t *testing.T) {
			r := newRing(t, 4, uring.Config{Flags: flags})
			needFeature(t, r, uring.FeatNoDrop)
			const all = 100
			for i := range uint64(all) {
				next(t, r, i).PrepNop()
				if r.Space() == 0 {
					submit(t, r)
				}
			}
			submit(t, r)
			if !r.Overflowed() {
				t.Fatal("the queue did not overflow")
			}
			ids := make([]uint64, all)
			for i := range ids {
				ids[i] = uint64(i)
			}
			sequence(t, r, ids...)
			if r.Overflowed() || r.OverflowCount() != 0 {
				t.Errorf("overflowed: %v, lost: %d", r.Overflowed(), r.OverflowCount())
			}
		})
	}
}

// TestOverflowOfFilesLosesReads reads a file with results of different lengths
// into a queue that overflows, so that each must belong to its read.
func TestOverflowOfFilesLosesReads(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatNoDrop)
	f := openFile(t, string(pattern(256)))
	p := pinnedBytes(t, 256)
	for round := range 10 {
		for i := range uint64(128) {
			next(t, r, i).PrepRead(int(f.Fd()), p[:i+1], uint64(round))
			if r.Space() == 0 {
				submit(t, r)
			}
		}
		for id, c := range byUserData(t, reap(t, r, 128)) {
			if c.Res != int32(id+1) {
				t.Fatalf("read of %d bytes: %+v", id+1, c)
			}
		}
	}
}

// TestPollOfRingMissesCompletions watches the ring's descriptor.
func TestPollOfRingMissesCompletions(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		ready := func() bool {
			fds := []unix.PollFd{{Fd: int32(r.Fd()), Events: unix.POLLIN}}
			n, err := unix.Poll(fds, 0)
			return n == 1 && err == nil && fds[0].Revents&unix.POLLIN != 0
		}
		if ready() {
			t.Error("an empty ring is readable")
		}
		release := waiting(t, r, 1, 0)
		submit(t, r)
		release()
		eventually(t, "the ring is readable", ready)
		sequence(t, r, 1)
		if ready() {
			t.Error("a reaped ring is readable")
		}
		next(t, r, 2).PrepNop()
		submit(t, r)
		eventually(t, "the ring is readable again", ready)
		sequence(t, r, 2)
	})
}

// TestQueuedEntriesAreMiscounted looks at Space and Queued around submissions.
func TestQueuedEntriesAreMiscounted(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	for round := range uint32(20) {
		take := round%8 + 1
		for i := range take {
			if r.Queued() != i || r.Space() != 8-i {
				t.Fatalf("round %d, %d taken: queued %d, space %d", round, i, r.Queued(), r.Space())
			}
			next(t, r, uint64(i)).PrepNop()
		}
		submit(t, r)
		if r.Queued() != 0 || r.Space() != 8 {
			t.Fatalf("round %d, submitted: queued %d, space %d", round, r.Queued(), r.Space())
		}
		reap(t, r, int(take))
	}
}

// TestOpcodesOfOneBatchDisturbEachOther submits one of each kind that ends at
// once, in one call.
func TestOpcodesOfOneBatchDisturbEachOther(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		f := openFile(t, "batch")
		p := pinnedBytes(t, 8)
		vectors := []unix.Iovec{iovec(p[5:])}
		pin(t, &vectors[0])
		next(t, r, 0).PrepNop()
		next(t, r, 1).PrepRead(int(f.Fd()), p[:5], 0)
		next(t, r, 2).PrepFsync(int(f.Fd()), 0)
		next(t, r, 3).PrepRead(-1, p, 0)
		next(t, r, 4).PrepPollAdd(int(f.Fd()), unix.POLLIN, false)
		next(t, r, 5).PrepCancel(99, 0)
		next(t, r, 6).PrepReadv(int(f.Fd()), vectors, 2, 0)
		next(t, r, 7).PrepFadvise(int(f.Fd()), 0, 0, unix.FADV_NORMAL)
		want := []int32{0, 5, 0, -int32(unix.EBADF), unix.POLLIN, -int32(unix.ENOENT), 3, 0}
		for id, c := range byUserData(t, reap(t, r, 8)) {
			if c.Res != want[id] {
				t.Errorf("entry %d: %+v, want %d", id, c, want[id])
			}
		}
		if string(p) != "batchtch" {
			t.Errorf("read %q", p)
		}
	})
}

// TestManyRingsShareOneQueue uses many rings at the same time.
func TestManyRingsShareOneQueue(t *testing.T) {
	var rings [32]*uring.Ring
	for i := range rings {
		rings[i] = newRing(t, 4, uring.Config{})
	}
	for round := range uint64(10) {
		for i, r := range rings {
			next(t, r, round<<8|uint64(i)).PrepNop()
			submit(t, r)
		}
		for i, r := range rings {
			if c := sequence(t, r, round<<8|uint64(i))[0]; c.Err() != nil || r.Completions() != 0 {
				t.Fatal(fmt.Sprint("ring ", i, ": ", c))
			}
		}
	}
}
