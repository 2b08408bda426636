package fusetest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// Direct reads are paced, since disks always answer. A file system that hangs
// does not, and its reads must not use up what the disks' need.
func TestHungDirectReadsUseUpThePaceOfDisks(t *testing.T) {
	const hung = 400 // more than a driver hands to the kernel at once
	eachBackend(t, func(t *testing.T, s *filesystem, d *eddy.Driver) {
		node := s.files["direct"]
		node.hang()
		sick, err := d.OpenFile(s.path("direct"), os.O_RDONLY|unix.O_DIRECT, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer sick.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		for i := range hung {
			wg.Go(func() {
				if _, err := sick.ReadAtContext(ctx, make([]byte, 4096), int64(i%256)*4096); !errors.Is(err, context.Canceled) {
					t.Errorf("a hung read: %v", err)
				}
			})
		}
		node.awaitHung(t, 16)
		time.Sleep(20 * time.Millisecond)
		healthy(t, d, t.TempDir(), s, false)
		cancel()
		wg.Wait()
		node.release()
		settled(t, d)
		sick.Close()
		shutdown(t, d)
	})
}
