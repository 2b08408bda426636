package eddy_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eddyio/eddy"
)

// A file that may only be written to is one whose requests go to kernel
// workers, which look the descriptor up when they get to it. It is closed under
// them, and its number goes to a file that must not be written to.
func TestCloseUnderWorkersWritesElsewhere(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name, precious := tempFile(t, nil), tempFile(t, blocks(16))
		for range 20 {
			f := open(t, d, name, os.O_WRONLY)
			number := f.Fd()
			var wg sync.WaitGroup
			var closed atomic.Int32
			begun := make(chan struct{}, 64)
			for g := range 32 {
				wg.Go(func() {
					p := make([]byte, blockSize)
					for {
						n, err := f.WriteAt(p, int64(g)*blockSize)
						if errors.Is(err, fs.ErrClosed) {
							closed.Add(1)
							return
						}
						if err != nil || n != len(p) {
							t.Errorf("WriteAt: %d, %v", n, err)
							return
						}
						select {
						case begun <- struct{}{}:
						default:
						}
					}
				})
			}
			for range cap(begun) {
				<-begun
			}
			var others []*os.File
			wg.Go(func() {
				for range 8 { // one of them gets the number, as soon as it is free
					other, err := os.OpenFile(precious, os.O_RDWR, 0)
					if err != nil {
						t.Error(err)
						return
					}
					others = append(others, other)
				}
			})
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			wg.Wait()
			for _, other := range others {
				other.Close()
			}
			if closed.Load() != 32 {
				t.Errorf("%d writers of 32 were told", closed.Load())
			}
			if link, err := os.Readlink(fmt.Sprint("/proc/self/fd/", number)); err == nil && link == name {
				t.Error("the descriptor is open when the last writer has left")
			}
		}
		data, err := os.ReadFile(precious)
		if err != nil || string(data) != string(blocks(16)) {
			t.Errorf("another file was written to: %v", err)
		}
	})
}
