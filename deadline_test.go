package eddy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

func isTimeout(err error) bool {
	var timeout net.Error // what programs look for: Timeout() true
	return errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &timeout) && timeout.Timeout()
}

func TestPastDeadlineIsIgnoredByDiskFiles(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, tempFile(t, pattern(5000)), os.O_RDWR)
		p := make([]byte, 100)
		reads := map[string]func() error{
			"Read":          func() error { _, err := f.Read(p); return err },
			"ReadAt":        func() error { _, err := f.ReadAt(p, 0); return err },
			"ReadAtContext": func() error { _, err := f.ReadAtContext(t.Context(), p, 0); return err },
			"ReadBatch":     func() error { return f.ReadBatch(context.Background(), []eddy.BatchRead{{Buf: p}}) },
		}
		writes := map[string]func() error{
			"Write":       func() error { _, err := f.Write(p); return err },
			"WriteString": func() error { _, err := f.WriteString("x"); return err },
			"WriteAt":     func() error { _, err := f.WriteAt(p, 0); return err },
			"WriteBatch":  func() error { return f.WriteBatch(context.Background(), []eddy.BatchWrite{{Buf: p}}) },
			"Sync":        f.Sync,
			"SyncContext": func() error { return f.SyncContext(t.Context()) },
		}
		check := func(when string, calls map[string]func() error, expired bool) {
			t.Helper()
			for what, call := range calls {
				if err := call(); expired != isTimeout(err) || !expired && err != nil {
					t.Errorf("%s: %s: %v", when, what, err)
				}
			}
		}
		set := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		past, future := time.Unix(1, 0), time.Now().Add(time.Hour)
		set(f.SetReadDeadline(past))
		check("past read deadline", reads, true)
		check("past read deadline", writes, false)
		set(f.SetWriteDeadline(past))
		check("past write deadline", writes, true)
		set(f.SetReadDeadline(future))
		check("future read deadline", reads, false)
		check("past write deadline", writes, true)
		set(f.SetDeadline(future))
		check("future deadlines", reads, false)
		check("future deadlines", writes, false)
		set(f.SetDeadline(past))
		check("past deadlines", reads, true)
		check("past deadlines", writes, true)
		set(f.SetDeadline(time.Time{}))
		check("no deadlines", reads, false)
		check("no deadlines", writes, false)
		set(f.SetDeadline(time.Now().Add(time.Millisecond)))
		time.Sleep(100 * time.Millisecond) // the timer is another goroutine, and the processor may be slow
		check("deadlines that have come", reads, true)
		check("deadlines that have come", writes, true)
	})
}

// A deadline that comes while its file is busy with other things, again and
// again, is neither lost nor early.
func TestMovedDeadlineFiresEarly(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, tempFile(t, pattern(5000)), os.O_RDWR)
		p := make([]byte, 100)
		for range 200 {
			if err := f.SetReadDeadline(time.Now().Add(50 * time.Microsecond)); err != nil {
				t.Fatal(err)
			}
			if err := f.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := f.ReadAt(p, 0); err != nil {
				t.Fatalf("a deadline that was moved an hour away: %v", err)
			}
		}
	})
}

// Whichever comes first counts: the context or the deadline.
func TestContextAndDeadlineAreConfused(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, tempFile(t, pattern(5000)), os.O_RDWR)
		p := make([]byte, 100)
		expired, cancel := context.WithTimeout(t.Context(), -1)
		defer cancel()
		if err := f.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, err := f.ReadAtContext(expired, p, 0)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the context's deadline: %v", err)
		}
	})
}
