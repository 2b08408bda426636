package poll

import "fmt"

// An Event says that the descriptor registered with Token is, or recently was,
// ready for what the bits name. See "Spurious events" in the package comment.
type Event struct {
	Token Token
	Ready
}

// String returns text like "token 7: readable|read-closed".
func (e Event) String() string { return fmt.Sprintf("token %d: %v", uint64(e.Token), e.Ready) }

// Events receives what one call of [Poll.Poll] finds. It has room for a fixed
// number of events. Descriptors beyond that stay ready in the kernel until the
// next call; the kernel takes turns among them. An Events may be used by one
// goroutine at a time. It can be reused: each Poll overwrites what the previous
// one left.
type Events struct {
	buffer []rawEvent
	length int
}

// NewEvents returns an Events with room for the given number of events, at
// least one. An event takes 12 or 16 bytes. 32 to 128 suit a loop that should
// not keep others waiting; 1024 suits one with many thousands of busy
// descriptors.
func NewEvents(capacity int) *Events {
	return &Events{buffer: make([]rawEvent, max(capacity, 1))}
}

// Len returns the number of events that the last Poll found.
func (e *Events) Len() int { return e.length }

// Cap returns the number of events there is room for. If Len is the same, there
// may be more events in the kernel.
func (e *Events) Cap() int { return len(e.buffer) }

// At returns event i of the last Poll. It panics unless i is at least 0 and
// less than Len.
func (e *Events) At(i int) Event {
	raw := &e.buffer[:e.length][i]
	return Event{Token: tokenOf(raw), Ready: readyOf(raw)}
}

// All calls f with each event of the last Poll, in the kernel's order, until f
// returns false. It can be used in a range clause.
func (e *Events) All(f func(Event) bool) {
	for i := range e.length {
		if !f(e.At(i)) {
			return
		}
	}
}

// Reset removes all events. Poll does this itself before it waits.
func (e *Events) Reset() { e.length = 0 }
