package filebench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	"unsafe"

	"github.com/eddyio/eddy"
)

// step carries out one call and returns how many blocks it read or wrote.
type step func() (blocks int64, err error)

// target is the open file of one side.
type target struct {
	os   *os.File
	drv  *eddy.Driver
	eddy *eddy.File
	ctx  context.Context // passed by eddy's side where one is asked for
	end  context.CancelFunc
}

func openTarget(work Work, cfg eddy.Config) (*target, error) {
	flag := os.O_RDONLY
	if work.Write {
		flag = os.O_RDWR
	}
	if work.Direct {
		flag |= directFlag
	}
	if work.Side != SideEddy {
		f, err := os.OpenFile(work.Path, flag, 0)
		return &target{os: f}, err
	}
	drv, err := eddy.New(cfg)
	if err != nil {
		return nil, err
	}
	f, err := drv.OpenFile(work.Path, flag, 0)
	if err != nil {
		return nil, errors.Join(err, drv.Close())
	}
	t := &target{drv: drv, eddy: f}
	t.ctx, t.end = context.WithCancel(context.Background())
	return t, nil
}

// close gives everything back. Errors mean nothing here: the process ends, and what was measured is measured.
func (t *target) close() {
	if t.os != nil {
		t.os.Close()
		return
	}
	t.end()
	t.eddy.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = t.drv.Shutdown(ctx)
}

// describe notes what eddy's side ran on.
func (t *target) describe(s *Sample) {
	if t.drv == nil {
		return
	}
	m := t.drv.Metrics()
	ring := m.Ring + m.Owned
	if all := ring + m.Direct + m.Offloaded; all > 0 {
		s.RingShare = float64(ring) / float64(all)
	}
	status := t.drv.Status()
	s.Backend = status.Backend.String()
	if status.Backend == eddy.BackendURing {
		s.Submit = status.Submit.String()
	}
	for _, f := range status.Fallbacks {
		s.Fallbacks = append(s.Fallbacks, f.Wanted+" ("+string(f.Reason)+")")
	}
}

// newStep returns the operation of worker number i, with buffers and random numbers of its own.
func (t *target) newStep(work Work, i int) step {
	blocks := uint64(work.Size / BlockSize)
	random := rand.New(rand.NewPCG(work.Seed, uint64(i)))
	switch {
	case work.Batch > 0 && t.eddy != nil && work.Write:
		return t.newWriteBatch(work, random, blocks)
	case work.Batch > 0 && t.eddy != nil:
		return t.newReadBatch(work, random, blocks)
	}
	call := t.call(work)
	buf := alignedBuffer(BlockSize)
	fillBlock(buf, random)
	return func() (int64, error) {
		block := random.Uint64N(blocks)
		if work.Write {
			tagBlock(buf, block)
		}
		n, err := call(buf, int64(block)*BlockSize)
		if n != BlockSize {
			return 0, fmt.Errorf("%d bytes instead of %d at block %d: %w", n, BlockSize, block, err)
		}
		if work.Tagged && !work.Write {
			return 1, checkBlock(buf, block)
		}
		return 1, nil
	}
}

// call picks the method that is measured.
func (t *target) call(work Work) func(p []byte, off int64) (int, error) {
	switch {
	case t.os != nil && work.Write:
		return t.os.WriteAt
	case t.os != nil:
		return t.os.ReadAt
	case work.Context && work.Write:
		return func(p []byte, off int64) (int, error) { return t.eddy.WriteAtContext(t.ctx, p, off) }
	case work.Context:
		return func(p []byte, off int64) (int, error) { return t.eddy.ReadAtContext(t.ctx, p, off) }
	case work.Write:
		return t.eddy.WriteAt
	default:
		return t.eddy.ReadAt
	}
}

// batchContext is what a batch is called with.
func (t *target) batchContext(work Work) context.Context {
	if work.Context {
		return t.ctx
	}
	return context.Background()
}

// newWriteBatch is newStep for writes by the batch. No block is in a batch twice, for it would be anybody's guess what
// is written there.
func (t *target) newWriteBatch(work Work, random *rand.Rand, blocks uint64) step {
	ctx := t.batchContext(work)
	writes := make([]eddy.BatchWrite, work.Batch)
	memory := alignedBuffer(work.Batch * BlockSize)
	fillBlock(memory, random)
	for i := range writes {
		writes[i].Buf = memory[i*BlockSize : (i+1)*BlockSize : (i+1)*BlockSize]
	}
	share := blocks / uint64(work.Batch) // each write has blocks of its own
	return func() (int64, error) {
		for i := range writes {
			block := uint64(i)*share + random.Uint64N(share)
			tagBlock(writes[i].Buf, block)
			writes[i].Off = int64(block) * BlockSize
		}
		if err := t.eddy.WriteBatch(ctx, writes); err != nil {
			return 0, err
		}
		for i := range writes {
			if w := &writes[i]; w.N != BlockSize {
				return 0, fmt.Errorf("%d bytes instead of %d at block %d: %w", w.N, BlockSize, w.Off/BlockSize, w.Err)
			}
		}
		return int64(len(writes)), nil
	}
}

// newReadBatch is newStep for reads by the batch.
func (t *target) newReadBatch(work Work, random *rand.Rand, blocks uint64) step {
	ctx := t.batchContext(work)
	reads := make([]eddy.BatchRead, work.Batch)
	memory := alignedBuffer(work.Batch * BlockSize)
	for i := range reads {
		reads[i].Buf = memory[i*BlockSize : (i+1)*BlockSize : (i+1)*BlockSize]
	}
	return func() (int64, error) {
		for i := range reads {
			reads[i].Off, reads[i].N, reads[i].Err = int64(random.Uint64N(blocks))*BlockSize, 0, nil
		}
		if err := t.eddy.ReadBatch(ctx, reads); err != nil {
			return 0, err
		}
		for i := range reads {
			r := &reads[i]
			if r.N != BlockSize {
				return 0, fmt.Errorf("%d bytes instead of %d at block %d: %w", r.N, BlockSize, r.Off/BlockSize, r.Err)
			}
			if work.Tagged {
				if err := checkBlock(r.Buf, uint64(r.Off/BlockSize)); err != nil {
					return 0, err
				}
			}
		}
		return int64(len(reads)), nil
	}
}

// alignedBuffer returns size bytes that begin at a multiple of BlockSize, as O_DIRECT wants them: open(2),
// "O_DIRECT".
func alignedBuffer(size int) []byte {
	raw := make([]byte, size+BlockSize)
	// SAFETY: only the address's remainder is looked at; raw keeps the memory, and the heap does not move.
	skip := BlockSize - int(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))%BlockSize)
	return raw[skip : skip+size : skip+size]
}

// Each block of a test file begins with its number and blockMagic.
const blockMagic = uint64(0x314b4c4259444445) // "EDDYBLK1"

func tagBlock(b []byte, block uint64) {
	binary.LittleEndian.PutUint64(b, block)
	binary.LittleEndian.PutUint64(b[8:], blockMagic)
}

func checkBlock(b []byte, block uint64) error {
	if got := binary.LittleEndian.Uint64(b); got != block {
		return wrongBlock(block, got)
	}
	return nil
}

// fillBlock makes b incompressible.
func fillBlock(b []byte, random *rand.Rand) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], random.Uint64())
	}
}
