package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"
)

// ending is how an operation may be made to end before it has: by a context, by
// a deadline set before, or not at all.
type ending struct {
	ctx      context.Context
	cancel   context.CancelFunc
	deadline deadline
	over     bool // the context had ended before
}

// deadline is one that was set.
type deadline struct {
	at   time.Time // the zero time: there is none
	over bool      // it had passed by then
}

// deadlineAt is to be made before it is set.
func deadlineAt(t time.Time) deadline {
	return deadline{t, !t.IsZero() && !time.Now().Before(t)}
}

// forbids reports whether nothing may succeed.
func (e ending) forbids() bool { return e.over || e.deadline.over }

// randomEnding chooses a context.
func randomEnding(rng *rand.Rand, reach time.Duration) ending {
	background := context.Background()
	after := time.Duration(rng.Int64N(int64(reach)))
	switch rng.IntN(8) {
	case 0:
		ctx, cancel := context.WithTimeout(background, after)
		return ending{ctx: ctx, cancel: cancel}
	case 1:
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(after, cancel)
		return ending{ctx: ctx, cancel: cancel}
	case 2:
		if rng.IntN(4) == 0 {
			ctx, cancel := context.WithCancel(background)
			cancel()
			return ending{ctx: ctx, cancel: cancel, over: true}
		}
		ctx, cancel := context.WithTimeout(background, time.Hour)
		return ending{ctx: ctx, cancel: cancel}
	}
	return never
}

var never = ending{ctx: context.Background(), cancel: func() {}}

// explains reports whether the error is one that this ending has brought about.
// An operation that ends before its time, or with the other's reason, is wrong.
func (e ending) explains(err error) bool {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return !e.deadline.at.IsZero() && !time.Now().Before(e.deadline.at)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return e.ctx.Err() != nil && errors.Is(err, e.ctx.Err())
	}
	return false
}
