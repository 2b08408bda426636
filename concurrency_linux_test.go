package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// storm is many goroutines that read and write one file's blocks in every way
// there is, while contexts and deadlines end at random.
type storm struct {
	t     *testing.T
	files []*eddy.File // the same file; only the last has deadlines
	locks []sync.RWMutex
	lost  []atomic.Bool // blocks whose content nobody knows, after an abandoned write

	kept struct {
		sync.Mutex
		list []keptBuffer
	}
	count struct{ read, written, batched, abandoned atomic.Int64 }
}

// keptBuffer is the buffer of an operation that was abandoned, and what was in
// it when its caller was told.
type keptBuffer struct{ live, then []byte }

const (
	stormBlocks     = 512
	stormGoroutines = 64
)

func TestForeignBytesUnderConcurrency(t *testing.T) {
	for name, flag := range map[string]int{"cached": 0, "direct": syscall.O_DIRECT} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, d *eddy.Driver) {
				file := tempFile(t, blocks(stormBlocks))
				s := &storm{t: t, locks: make([]sync.RWMutex, stormBlocks), lost: make([]atomic.Bool, stormBlocks)}
				for range 2 {
					f, err := d.OpenFile(file, os.O_RDWR|flag, 0)
					if errors.Is(err, syscall.EINVAL) && flag != 0 {
						t.Skip("SKIPPED: the temporary directory has no O_DIRECT; set TMPDIR")
					}
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					s.files = append(s.files, f)
				}
				s.run()
			})
		})
	}
}

func (s *storm) run() {
	stop := make(chan struct{})
	var mover, workers sync.WaitGroup
	mover.Go(func() { s.moveDeadlines(stop) })
	steps := 60
	if testing.Short() {
		steps = 15
	}
	for g := range stormGoroutines {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			for range steps {
				s.step(rng)
			}
		})
	}
	within(s.t, time.Minute, "the storm", workers.Wait)
	close(stop)
	mover.Wait()
	time.Sleep(20 * time.Millisecond) // what still comes, comes now
	for _, k := range s.kept.list {
		if !bytes.Equal(k.live, k.then) {
			s.t.Fatal("a buffer was written to after its caller had left")
		}
	}
	if s.count.read.Load() == 0 || s.count.written.Load() == 0 || s.count.batched.Load() == 0 || s.count.abandoned.Load() == 0 {
		s.t.Errorf("not everything was tried: %+v", &s.count)
	}
}

// moveDeadlines keeps changing the last file's deadlines.
func (s *storm) moveDeadlines(stop chan struct{}) {
	f := s.files[len(s.files)-1]
	rng := rand.New(rand.NewPCG(99, 7))
	for {
		select {
		case <-stop:
			return
		default:
		}
		at := time.Time{}
		switch rng.IntN(4) {
		case 0:
			at = time.Unix(1, 0)
		case 1, 2:
			at = time.Now().Add(time.Duration(rng.IntN(2000)) * time.Microsecond)
		}
		if err := f.SetDeadline(at); err != nil {
			s.t.Error(err)
			return
		}
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
}

// context ends never, or some time soon, in one of three ways.
func (s *storm) context(rng *rand.Rand) (context.Context, context.CancelFunc) {
	soon := time.Duration(rng.IntN(500)) * time.Microsecond
	switch rng.IntN(5) {
	case 0, 1:
		return context.Background(), func() {}
	case 2:
		return context.WithCancel(context.Background())
	case 3:
		return context.WithTimeout(context.Background(), soon)
	default:
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(soon, cancel)
		return ctx, cancel
	}
}

func (s *storm) step(rng *rand.Rand) {
	ctx, cancel := s.context(rng)
	defer cancel()
	f := s.files[rng.IntN(len(s.files))]
	k := rng.IntN(stormBlocks)
	switch rng.IntN(6) {
	case 0:
		s.write(ctx, f, k, rng.Uint64())
	case 1:
		s.batch(ctx, f, rng)
	case 2:
		s.writeBatch(ctx, f, rng, rng.Uint64())
	default:
		s.read(ctx, f, k)
	}
}

// ended says whether the error is that of an end, which is no failure.
func (s *storm) ended(what string, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		s.count.abandoned.Add(1)
	default:
		s.t.Errorf("%s: %v", what, err)
	}
	return true
}

// keep remembers a buffer that nobody may write to any more.
func (s *storm) keep(p []byte) {
	s.kept.Lock()
	defer s.kept.Unlock()
	s.kept.list = append(s.kept.list, keptBuffer{p, bytes.Clone(p)})
}

func (s *storm) read(ctx context.Context, f *eddy.File, k int) {
	p := aligned(blockSize)
	fillCanary(p)
	s.locks[k].RLock()
	defer s.locks[k].RUnlock()
	lost := s.lost[k].Load()
	n, err := f.ReadAtContext(ctx, p, int64(k)*blockSize)
	if s.ended("read", err) {
		if !isCanary(p[n:]) {
			s.t.Errorf("a read that ended with %d, %v has touched its buffer", n, err)
		}
		s.keep(p)
		return
	}
	s.count.read.Add(1)
	if n != blockSize {
		s.t.Errorf("%d bytes without an error", n)
	} else if err := checkBlock(p, uint64(k)); err != nil && !lost {
		s.t.Error(err)
	}
}

func (s *storm) write(ctx context.Context, f *eddy.File, k int, version uint64) {
	p := aligned(blockSize)
	makeBlock(p, uint64(k), version)
	s.locks[k].Lock()
	defer s.locks[k].Unlock()
	n, err := f.WriteAtContext(ctx, p, int64(k)*blockSize)
	if s.ended("write", err) {
		s.lost[k].Store(true) // it may be written yet, at any time
		fillCanary(p)         // but not from here
		return
	}
	s.count.written.Add(1)
	if n != blockSize {
		s.t.Errorf("%d bytes written without an error", n)
	}
}

// writeBatch writes many blocks at once, each of which may have been written or not
// if the batch ends before.
func (s *storm) writeBatch(ctx context.Context, f *eddy.File, rng *rand.Rand, version uint64) {
	var ks []int
	for k := rng.IntN(stormBlocks); k < stormBlocks && len(ks) < 10; k += 1 + rng.IntN(4) { // in order, as batch
		ks = append(ks, k)
	}
	writes := make([]eddy.BatchWrite, len(ks))
	for i, k := range ks {
		s.locks[k].Lock()
		defer s.locks[k].Unlock()
		writes[i] = eddy.BatchWrite{Buf: aligned(blockSize), Off: int64(k) * blockSize}
		makeBlock(writes[i].Buf, uint64(k), version)
	}
	err := f.WriteBatch(ctx, writes)
	for i, k := range ks {
		if s.ended("write of a batch", writes[i].Err) {
			s.lost[k].Store(true)
			if err == nil {
				s.t.Error("a batch without an error has one")
			}
		} else if s.count.written.Add(1); writes[i].N != blockSize {
			s.t.Errorf("%d bytes written without an error", writes[i].N)
		}
		fillCanary(writes[i].Buf) // nobody may read from there any more
	}
}

func (s *storm) batch(ctx context.Context, f *eddy.File, rng *rand.Rand) {
	// Locks are taken in order, so batches and writers do not block each other
	// for good.
	first, step := rng.IntN(16), 1+rng.IntN(30)
	var ks []int
	for k := first; k < stormBlocks && len(ks) < 90; k += step {
		ks = append(ks, k)
	}
	reads := make([]eddy.BatchRead, len(ks))
	lost := make([]bool, len(ks))
	for i, k := range ks {
		s.locks[k].RLock()
		defer s.locks[k].RUnlock()
		lost[i] = s.lost[k].Load()
		reads[i] = eddy.BatchRead{Buf: aligned(blockSize), Off: int64(k) * blockSize}
		fillCanary(reads[i].Buf)
	}
	err := f.ReadBatch(ctx, reads)
	s.ended("batch", err)
	for i, r := range reads {
		if r.Err != nil {
			if !isCanary(r.Buf[r.N:]) {
				s.t.Errorf("a read of a batch that ended with %d, %v has touched its buffer", r.N, r.Err)
			}
			s.keep(r.Buf)
			continue
		}
		s.count.batched.Add(1)
		if r.N != blockSize {
			s.t.Errorf("batch: %d bytes without an error", r.N)
		} else if err := checkBlock(r.Buf, uint64(ks[i])); err != nil && !lost[i] {
			s.t.Error(fmt.Errorf("batch: %w", err))
		}
	}
}
