package poll_test

import (
	"testing"

	"github.com/eddyio/eddy/poll"
)

func TestInterestNamesAndValidity(t *testing.T) {
	for _, test := range []struct {
		interest poll.Interest
		name     string
		valid    bool
	}{
		{0, "none", false},
		{poll.Readable, "readable", true},
		{poll.Writable, "writable", true},
		{poll.Priority, "priority", true},
		{poll.Readable.Add(poll.Writable).Add(poll.Priority), "readable|writable|priority", true},
		{poll.Readable | 0x40, "readable|0x40", false},
		{0x80, "0x80", false},
	} {
		if got := test.interest.String(); got != test.name {
			t.Errorf("%#x.String() = %q, want %q", uint8(test.interest), got, test.name)
		}
		if got := test.interest.IsValid(); got != test.valid {
			t.Errorf("%v.IsValid() = %v", test.interest, got)
		}
	}
	i := poll.Readable.Add(poll.Priority)
	if !i.IsReadable() || i.IsWritable() || !i.IsPriority() {
		t.Errorf("%v: parts are %v, %v, %v", i, i.IsReadable(), i.IsWritable(), i.IsPriority())
	}
}

func TestReadySatisfiesOnlyTheInterestItAnswers(t *testing.T) {
	const r, w, p = poll.Readable, poll.Writable, poll.Priority
	for _, test := range []struct {
		ready      poll.Ready
		name       string
		satisfies  poll.Interest
		predicates [6]bool // readable, writable, read closed, write closed, priority, error
	}{
		{0, "none", 0, [6]bool{}},
		{poll.ReadyReadable, "readable", r, [6]bool{0: true}},
		{poll.ReadyWritable, "writable", w, [6]bool{1: true}},
		{poll.ReadyReadClosed, "read-closed", r | p, [6]bool{2: true}},
		{poll.ReadyWriteClosed, "write-closed", w, [6]bool{3: true}},
		{poll.ReadyPriority, "priority", p, [6]bool{4: true}},
		{poll.ReadyError, "error", r | w | p, [6]bool{5: true}},
		{poll.ReadyReadable | poll.ReadyReadClosed, "readable|read-closed", r | p, [6]bool{0: true, 2: true}},
		{0x80, "0x80", 0, [6]bool{}},
	} {
		if got := test.ready.String(); got != test.name {
			t.Errorf("%#x.String() = %q, want %q", uint8(test.ready), got, test.name)
		}
		for _, i := range []poll.Interest{r, w, p} {
			if got, want := test.ready.Satisfies(i), test.satisfies&i != 0; got != want {
				t.Errorf("%v.Satisfies(%v) = %v", test.ready, i, got)
			}
		}
		got := [6]bool{
			test.ready.IsReadable(), test.ready.IsWritable(), test.ready.IsReadClosed(),
			test.ready.IsWriteClosed(), test.ready.IsPriority(), test.ready.IsError(),
		}
		if got != test.predicates {
			t.Errorf("%v: predicates are %v, want %v", test.ready, got, test.predicates)
		}
	}
	event := poll.Event{Token: 1<<64 - 1, Ready: poll.ReadyReadable | poll.ReadyError}
	if got, want := event.String(), "token 18446744073709551615: readable|error"; got != want {
		t.Errorf("event is %q, want %q", got, want)
	}
}

func TestEventsHaveRoomForAtLeastOne(t *testing.T) {
	for capacity, want := range map[int]int{-1: 1, 0: 1, 1: 1, 128: 128} {
		events := poll.NewEvents(capacity)
		if events.Cap() != want || events.Len() != 0 {
			t.Errorf("NewEvents(%d) has capacity %d, length %d", capacity, events.Cap(), events.Len())
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("At beyond the length did not panic")
		}
	}()
	poll.NewEvents(4).At(0)
}
