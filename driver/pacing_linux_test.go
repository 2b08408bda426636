package driver_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
	"github.com/eddyio/eddy/uring"
)

func paced(name uint64) (*driver.Op, *hold) {
	o, h := nop(name), new(hold)
	o.Paced, o.Hold = true, h
	return o, h
}

func TestKernelHasNoMoreThanDepthPacedRequests(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		const depth, n = 4, 20
		f := newFake(t, 8)
		r := newFakeRig(t, driver.Config{Submit: mode, Depth: depth}, f)
		var ops []*driver.Op
		for i := range uint64(n) {
			o, _ := paced(i)
			r.register(o)
			ops = append(ops, o)
		}
		// One that is not paced goes past them.
		free := nop(1000)
		r.register(free)
		f.userData(1000)
		f.complete(1000, 0, 0)
		if res := r.result(free); res != 0 {
			t.Errorf("result %d", res)
		}
		for i := range uint64(n) {
			f.userData(i)
			if got := f.count(); got > depth {
				t.Fatalf("the kernel has %d", got)
			}
			f.complete(i, int32(i), 0)
			if res := r.result(ops[i]); res != int32(i) {
				t.Errorf("request %d: %d", i, res)
			}
		}
		if got := slices.DeleteFunc(f.seen(), func(name uint64) bool { return name == 1000 }); !slices.IsSorted(got) || len(got) != n {
			t.Errorf("the kernel took %v", got)
		}
	})
}

func TestCancelledInTheBacklogNeverReachesTheKernel(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		f := newFake(t, 8)
		r := newFakeRig(t, driver.Config{Submit: mode, Depth: 1}, f)
		first, _ := paced(1)
		second, released := paced(2)
		third, _ := paced(3)
		fourth, _ := paced(4)
		for _, o := range []*driver.Op{first, second, third, fourth} {
			r.register(o)
		}
		f.userData(1)
		if !r.CancelOp(second) {
			t.Fatal("completed")
		}
		r.RequestCancel(third)
		f.complete(1, 0, 0)
		if res := r.result(first); res != 0 {
			t.Errorf("result %d", res)
		}
		if res := r.result(third); res != -int32(unix.ECANCELED) {
			t.Errorf("the third: %d", res)
		}
		f.userData(4)
		f.complete(4, 0, 0)
		if res := r.result(fourth); res != 0 {
			t.Errorf("result %d", res)
		}
		if got := f.seen(); !slices.Equal(got, []uint64{1, 4}) {
			t.Errorf("the kernel took %v", got)
		}
		eventually(t, "the cancelled one is released", func() bool { return released.released.Load() == 1 })
	})
}

func TestPacedReadsOfAFile(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode, Depth: 3, RingEntries: 2})
		name := filepath.Join(t.TempDir(), "file")
		data := make([]byte, 256)
		for i := range data {
			data[i] = byte(i)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var all sync.WaitGroup
		for i := range 256 {
			all.Go(func() {
				o, buf := &driver.Op{Paced: true, Timed: true}, make([]byte, 1)
				for range scale(100) {
					o.Entry.PrepRead(int(file.Fd()), buf, uint64(i))
					o.Entry.Flags = uring.SQEFlags(0)
					o.OwnBytes(buf)
					r.register(o)
					o.Wait()
					if added, whole := o.Delay(); added < 0 || added > whole {
						t.Errorf("added %v of %v", added, whole)
					}
					if res, _ := o.Result(); res != 1 || buf[0] != byte(i) {
						t.Errorf("offset %d: %d, %v", i, res, buf)
					}
				}
			})
		}
		all.Wait()
	})
}
