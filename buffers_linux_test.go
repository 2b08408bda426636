package eddy_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// recurse makes the goroutine's stack grow, and so move, and shrink again.
func recurse(n int) byte {
	var frame [512]byte
	frame[n%512] = byte(n)
	if n == 0 {
		runtime.GC()
		return frame[0]
	}
	return frame[n%512] + recurse(n-1)
}

// Buffers on the stack of a goroutine whose stack moves, before, between and
// during the requests, with others that make the collector shrink stacks.
func TestStackBufferGetsSomebodyElsesBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		data := pattern(1 << 20)
		f := open(t, d, tempFile(t, data), os.O_RDWR)
		stop := make(chan struct{})
		var movers, readers sync.WaitGroup
		movers.Go(func() {
			for !isClosed(stop) {
				recurse(200)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for g := range 16 {
			readers.Go(func() {
				for i := range 150 {
					readOnStack(t, f, ctx, data, g*61+i*7, i%12)
				}
			})
		}
		within(t, time.Minute, "a read", readers.Wait)
		close(stop)
		movers.Wait()
	})
}

//go:noinline
func readOnStack(t *testing.T, f *eddy.File, ctx context.Context, data []byte, at, depth int) {
	if depth > 0 {
		var frame [700]byte
		frame[at%700] = 1
		readOnStack(t, f, ctx, data, at+int(frame[(at+1)%700]), depth-1)
		return
	}
	var b [16]byte
	var c [100]byte
	var n int
	var err error
	switch at % 3 {
	case 0:
		n, err = f.ReadAt(b[:], int64(at))
	case 1:
		n, err = f.ReadAtContext(ctx, b[:], int64(at))
	default:
		reads := [2]eddy.BatchRead{{Buf: b[:], Off: int64(at)}, {Buf: c[:], Off: int64(at) + 5}}
		err = f.ReadBatch(ctx, reads[:])
		n = reads[0].N
		if string(c[:]) != string(data[at+5:at+105]) {
			t.Errorf("a batch's second read at %d: wrong bytes", at+5)
		}
	}
	if n != 16 || err != nil || string(b[:]) != string(data[at:at+16]) {
		t.Errorf("at %d: %d, %v, % x", at, n, err, b)
	}
	for i := range b {
		b[i] = 0
	}
	if n, err := f.WriteAt(data[at:at+16], int64(at)); n != 16 || err != nil {
		t.Errorf("write at %d: %d, %v", at, n, err)
	}
}

// object is what the collector hands out after the buffers that nobody refers
// to any more.
type object struct{ mark, not uint64 }

// Reads whose callers leave, and whose buffers nobody refers to from then on,
// while the kernel may still be filling memory: not one byte of the file may be
// found in the objects that live where the buffers were.
func TestDroppedBufferIsWrittenToAfterItsTime(t *testing.T) {
	const objects = 200_000
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f, _ := openDirect(t, d, blocks(256))
		live := make([]*object, 0, objects)
		var wg sync.WaitGroup
		for g := range 32 {
			wg.Go(func() {
				for i := range 40 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i*3)*time.Microsecond)
					k := uint64((g*40 + i) % 250)
					if i%4 == 0 {
						reads := make([]eddy.BatchRead, 6)
						for j := range reads {
							reads[j] = eddy.BatchRead{Buf: aligned(blockSize), Off: int64(k+uint64(j)) * blockSize}
						}
						_ = f.ReadBatch(ctx, reads)
					} else {
						p := aligned(blockSize)
						if n, err := f.ReadAtContext(ctx, p, int64(k)*blockSize); err == nil && n == blockSize {
							if err := checkBlock(p, k); err != nil {
								t.Error(err)
							}
						}
					}
					cancel()
				}
			})
		}
		for i := range uint64(objects) {
			live = append(live, &object{i, ^i})
			if i%40_000 == 0 {
				runtime.GC()
			}
		}
		within(t, time.Minute, "a read", wg.Wait)
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
		for i, o := range live {
			if o.mark != uint64(i) || o.not != ^uint64(i) {
				t.Fatalf("object %d has foreign bytes: %x %x", i, o.mark, o.not)
			}
		}
	})
}

// A goroutine that ends locked to its thread takes the thread with it, and the
// kernel gives up what that thread had submitted. Nobody may notice.
func TestExitOfTheSubmittingThreadFailsReads(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f, name := openDirect(t, d, blocks(64))
		cached := open(t, d, name, os.O_RDONLY)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for round := range 60 {
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Add(1)
				go func() {
					runtime.LockOSThread() // and never unlocked
					defer wg.Done()
					p := aligned(blockSize)
					k := uint64((round*8 + g) % 64)
					file := f
					if g%4 == 3 {
						file = cached
					}
					if n, err := file.ReadAtContext(ctx, p, int64(k)*blockSize); n != blockSize || err != nil {
						t.Errorf("%d, %v", n, err)
					} else if err := checkBlock(p, k); err != nil {
						t.Error(err)
					}
				}()
			}
			within(t, 10*time.Second, "a read", wg.Wait)
		}
	})
}
