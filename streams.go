package eddy

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"
	"weak"
)

// streams is a driver's open files that std's poller waits for, which a shutdown
// has to wake. It keeps none of them open.
type streams struct {
	mu  sync.Mutex
	all map[weak.Pointer[File]]struct{}
}

func (s *streams) add(f *File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[weak.Pointer[File]]struct{}{}
	}
	self := weak.Make(f)
	s.all[self] = struct{}{}
	runtime.AddCleanup(f, s.remove, self) // if it is never closed
}

func (s *streams) remove(f weak.Pointer[File]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, f)
}

// shutdown wakes who reads and writes. The driver says that it is shut down by then.
func (s *streams) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.all {
		if file := f.Value(); file != nil {
			file.endWaits()
		}
	}
	s.all = nil
}

// endWaits ends what waits in std's poller, if it is there.
func (f *File) endWaits() { _ = f.file.SetDeadline(time.Unix(1, 0)) }

// woken is the error of a call of os.File: a shutdown's deadline is not the
// caller's.
func (f *File) woken(op string, err error) error {
	if err != nil && f.kind == kindStream && f.d.down.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		return &fs.PathError{Op: op, Path: f.name, Err: ErrShutdown}
	}
	return err
}
