package eddy

import (
	"syscall"

	"github.com/eddyio/eddy/internal/sys"
)

// Whether it is worth asking the page cache before a read waits for a device
// is kept per file as a score: an answer earns what it saves, a miss costs
// what it takes.
//
//	score   means
//	-----   ------------------------------------------------------------
//	> 0     ask
//	<= 0    do not, but for one read in inlineRetry, which counts down
const (
	inlineStart = 64
	inlineMost  = 256
	inlineHit   = 4
	inlineMiss  = -3
	inlineRetry = -32
	inlineNever = -1 << 30 // the file system cannot tell, or the driver is not to ask
)

// inline reads from the page cache what is there, without waiting, and returns
// how much of p that was. Less than all of it may mean anything; the caller
// goes on as if it had not asked.
func (f *File) inline(p []byte, off int64) int {
	score := f.nowait.Load()
	if score <= 0 {
		f.skipInline(score)
		return 0
	}
	n, errno := sys.ReadNowait(f.fd, p, off)
	if n == len(p) {
		if score < inlineMost {
			f.nowait.Store(score + inlineHit) // a lost update does no harm
		}
		return n
	}
	switch errno {
	case 0, syscall.EINTR: // the end of the file, or part of it is cached
	case syscall.EAGAIN:
		f.nowait.Store(score + inlineMiss)
	default:
		f.nowait.Store(inlineNever)
	}
	return n
}

func (f *File) skipInline(score int32) {
	switch {
	case score == inlineNever:
	case score <= inlineRetry:
		f.nowait.Store(1)
	default:
		f.nowait.Store(score - 1)
	}
}
