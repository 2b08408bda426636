package driver_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

// A wish to cancel reaches the submit thread when its target has completed and
// another request has the slot.
func TestLateCancelHitsTheNextOwner(t *testing.T) {
	f := newFake(t, 8)
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	target, heir, trigger := nop(1), nop(2), nop(3)
	r.register(target)
	old := f.userData(1)
	f.plan(reply{consume: -1, before: func(f *fakeKernel) {
		// The thread is in the kernel. What happens now it finds all at once:
		// a completion, a request that takes over the slot, the late wish.
		f.complete(1, 11, 0)
		r.register(heir)
		r.RequestCancel(target)
	}})
	r.register(trigger)
	if res := r.result(target); res != 11 {
		t.Errorf("the target: %d", res)
	}
	heirs := f.userData(2)
	if heirs == old || heirs&0xffffff != old&0xffffff {
		t.Fatalf("the slot is %#x, then %#x: no reuse, nothing was tested", old, heirs)
	}
	f.complete(3, 33, 0)
	if res := r.result(trigger); res != 33 {
		t.Errorf("the third: %d", res)
	}
	f.mu.Lock()
	cancels := f.cancels
	f.mu.Unlock()
	if s := heir.State(); cancels != 0 || s != driver.Submitted {
		t.Errorf("%d cancels have reached the kernel; the next owner is %v", cancels, s)
	}
	f.complete(2, 22, 0)
	if res := r.result(heir); res != 22 {
		t.Errorf("the next owner: %d", res)
	}
}

// The poll through which callers wake the submit thread is multishot, and the
// kernel may end it at any time: a completion without F_MORE.
func TestWakePollThatEndedLosesRequests(t *testing.T) {
	f := newFake(t, 8)
	r := newFakeRig(t, driver.Config{Submit: driver.SubmitThread}, f)
	for round := range uint64(20) {
		f.mu.Lock()
		f.wakefd = -1 // it polls no more, until it is asked again
		f.post(uring.CQE{UserData: f.wakeTag, Res: -int32(unix.ECANCELED)})
		f.mu.Unlock()
		eventually(t, "the poll is armed again", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.wakefd >= 0
		})
		o := nop(round + 1)
		r.register(o)
		f.userData(round + 1)
		f.complete(round+1, int32(round), 0)
		if res := r.result(o); res != int32(round) {
			t.Errorf("round %d: %d", round, res)
		}
	}
}

// Reads that wait for writes fill every queue there is; the writes must get
// through all the same.
func TestReadsThatFillTheRingKeepOutTheirWrites(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		const n = 300
		r := newRig(t, driver.Config{Submit: mode, RingEntries: 4, Depth: 1})
		from, to := pipe(t)
		var reads, writes [n]driver.Op
		var got [n][1]byte
		for i := range reads {
			r.register(prepRead(&reads[i], from, got[i][:]))
		}
		for i := range writes {
			p := []byte{byte(i)}
			writes[i].Entry.PrepWrite(to, p, uring.CurrentPosition)
			writes[i].OwnBytes(p)
			r.register(&writes[i])
		}
		var sent, received [256]int
		for i := range n {
			if res := r.result(&writes[i]); res != 1 {
				t.Fatalf("write %d: %d", i, res)
			}
			if res := r.result(&reads[i]); res != 1 {
				t.Fatalf("read %d: %d", i, res)
			}
			sent[byte(i)]++
			received[got[i][0]]++
		}
		if sent != received {
			t.Error("other bytes were read than written")
		}
	})
}
