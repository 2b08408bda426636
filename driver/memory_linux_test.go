package driver_test

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/driver"
)

// growStack uses up stack, so that the goroutine's is moved to a larger one.
//
//go:noinline
func growStack(depth int) byte {
	var frame [1024]byte
	frame[depth%len(frame)] = byte(depth)
	if depth > 0 {
		frame[0] += growStack(depth - 1)
	}
	return frame[depth%len(frame)]
}

func TestBufferOfAMovedStackIsFilled(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		for _, held := range []bool{false, true} {
			r := newRig(t, driver.Config{Submit: mode})
			var all sync.WaitGroup
			for w := range 4 {
				rd, wr := pipe(t)
				all.Go(func() {
					for i := range scale(400) {
						// A goroutine of its own has a small stack to begin with.
						done := make(chan bool)
						go func() {
							defer close(done)
							readOntoStack(r, rd, wr, byte(w*16+i), held)
						}()
						<-done
						if i%50 == 0 {
							runtime.GC() // shrinks stacks
						}
					}
				})
			}
			all.Wait()
		}
	})
}

// readOntoStack reads into a variable that would live on the stack if it could.
func readOntoStack(r *rig, rd, wr int, value byte, held bool) {
	var buf [16]byte
	var o driver.Op
	prepRead(&o, rd, buf[:])
	if held {
		if _, err := r.HoldOp(10*time.Microsecond, &o); err != nil {
			r.t.Error(err)
			return
		}
	} else {
		r.register(&o)
	}
	growStack(64)
	runtime.Gosched()
	want := bytes.Repeat([]byte{value}, len(buf))
	write(r.t, wr, want)
	growStack(200)
	if res := r.result(&o); res != int32(len(buf)) || !bytes.Equal(buf[:], want) {
		r.t.Errorf("%d, %v, want %d", res, buf, value)
	}
}

func TestKernelNeverWritesToMemoryThatHasAnotherOwner(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		const pipes, foreign = 64, 0xee
		live := 200_000
		if raceEnabled {
			live /= 4
		}
		r := newRig(t, driver.Config{Submit: mode, Holds: pipes})
		var kept []*driver.Op
		var wrs []int
		for i := range pipes {
			rd, wr := pipe(t)
			wrs = append(wrs, wr)
			o := dropBuffer(r, rd, 32<<(i%6), i%4 == 3)
			// One in four is given up before the kernel has anything to write,
			// one while it does; the others are waited for, half of them as
			// strays. The buffer is nobody's in any case.
			if i%4 == 2 {
				write(t, wr, bytes.Repeat([]byte{foreign}, 8))
			}
			if i%4 == 0 || i%4 == 3 || !r.CancelOp(o) {
				kept = append(kept, o)
			}
		}
		runtime.GC()
		objects := make([][]byte, live)
		for i := range objects {
			objects[i] = make([]byte, 32<<(i%6))
			if i%(live/8) == 0 {
				runtime.GC()
			}
		}
		for _, wr := range wrs {
			write(t, wr, bytes.Repeat([]byte{foreign}, 1024))
		}
		for _, o := range kept {
			if res := r.result(o); res <= 0 {
				t.Errorf("result %d", res)
			}
		}
		r.settle()
		runtime.GC()
		for i, p := range objects {
			if j := bytes.IndexByte(p, foreign); j >= 0 {
				t.Fatalf("object %d of %d bytes has foreign bytes at %d", i, len(p), j)
			}
		}
	})
}

// dropBuffer begins a read into memory that nobody but the driver knows.
func dropBuffer(r *rig, rd, size int, held bool) *driver.Op {
	o := prepRead(new(driver.Op), rd, make([]byte, size))
	if held {
		if _, err := r.HoldOp(time.Microsecond, o); err != nil {
			r.t.Fatal(err)
		}
		return o
	}
	r.register(o)
	return o
}

func TestOpDroppedByItsOwnerStaysAliveUntilTheKernelIsDone(t *testing.T) {
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		released := make(chan bool, 1)
		rd, wr := pipe(t)
		func() {
			o := prepRead(new(driver.Op), rd, make([]byte, 64))
			o.Hold = release(func() { released <- true })
			runtime.AddCleanup(o, func(int) { released <- false }, 0)
			r.register(o)
			eventually(t, "the kernel has it", func() bool { return r.Metrics().Submitted > 0 })
			if !r.CancelOp(o) {
				t.Fatal("completed")
			}
		}()
		for range 5 {
			runtime.GC()
		}
		if !<-released {
			t.Error("collected before it was released")
		}
		_ = wr
		r.settle()
	})
}

type release func()

func (f release) Release() { f() }

func TestPathAndTimespecAreKeptForTheKernel(t *testing.T) {
	// What the kernel reads may be read late, by a worker thread.
	eachMode(t, func(t *testing.T, mode driver.SubmitMode) {
		r := newRig(t, driver.Config{Submit: mode})
		var ops []*driver.Op
		for range 200 {
			path, _ := unix.BytePtrFromString("/dev/null")
			o := &driver.Op{YieldsFd: true}
			o.Entry.PrepOpenat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			o.Entry.Flags = 1 << 4 // IOSQE_ASYNC
			o.Own(path)
			r.register(o)
			ops = append(ops, o)
		}
		runtime.GC()
		junk := make([][]byte, 10_000)
		for i := range junk {
			junk[i] = bytes.Repeat([]byte{'x'}, 16)
		}
		for _, o := range ops {
			res := r.result(o)
			if res < 0 {
				t.Fatalf("open: %v", unix.Errno(-res))
			}
			unix.Close(int(res))
		}
		runtime.KeepAlive(junk)
	})
}
