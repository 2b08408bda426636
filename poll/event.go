package poll

import "fmt"

// Event says that the descriptor registered with Token is, or recently was,
// ready for what the bits name. See "Spurious events" in the package comment.
type Event struct {
	Token Token
	Ready
}

// String is like "token 7: readable|read-closed".
func (e Event) String() string { return fmt.Sprintf("token %d: %v", uint64(e.Token), e.Ready) }

// Events receives what one call of [Poll.Poll] finds. It has room for a fixed
// number; descriptors beyond it stay ready in the kernel for the next call, which
// takes turns among them. It is for one goroutine at a time, and is reused: each
// Poll overwrites what the one before it left.
type Events struct {
	buffer []rawEvent
	length int
}

// NewEvents makes room for capacity events, at least one. An event takes 12 or 16
// bytes. 32 to 128 suit a loop that should not keep others waiting long; 1024 one
// with many thousands of busy descriptors.
func NewEvents(capacity int) *Events {
	return &Events{buffer: make([]rawEvent, max(capacity, 1))}
}

// Len is the number of events the last Poll found.
func (e *Events) Len() int { return e.length }

// Cap is the number of events there is room for. If Len is as much, there may be
// more in the kernel.
func (e *Events) Cap() int { return len(e.buffer) }

// At returns event i of the last Poll, from 0 to Len-1; it panics beyond.
func (e *Events) At(i int) Event {
	raw := &e.buffer[:e.length][i]
	return Event{Token: tokenOf(raw), Ready: readyOf(raw)}
}

// All calls f with each event of the last Poll, in the kernel's order, until f
// returns false; it can stand in a range clause.
func (e *Events) All(f func(Event) bool) {
	for i := range e.length {
		if !f(e.At(i)) {
			return
		}
	}
}

// Reset forgets the events. Poll does so itself before it waits.
func (e *Events) Reset() { e.length = 0 }
