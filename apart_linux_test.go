package eddy

import (
	"runtime"
	"testing"
	"time"
)

// newParting is a socket in a loop that is not turned, with counters to play with.
func newParting(t *testing.T) *socket {
	s := &socket{kind: isStream}
	s.loop, s.fd = newStalledLoop(t, &s.registration)
	t.Cleanup(func() {
		if a := s.apart.Load(); a != nil {
			s.endApart(a)
		}
	})
	return s
}

// waits makes the socket wait in its loop, whose turns find so many events each.
func (s *socket) waits(n, density int) {
	for range n {
		s.loop.watch.turns.Add(1)
		s.loop.watch.looped.Add(uint64(density))
		if s.apart.Load() == nil {
			s.considerParting()
		}
	}
}

func TestSocketsWithLittleToDoPayForALoop(t *testing.T) {
	PartInTime(t)
	s := newParting(t)
	if s.waits(apartStreak, apartDensity+1); s.apart.Load() != nil {
		t.Fatal("apart though its loop's turns find many events")
	}
	if s.waits(2*apartStreak, 1); s.apart.Load() == nil {
		t.Error("still in its loop, which turns for it alone")
	}
}

func TestSocketsWaitApartThoughGoroutinesCompute(t *testing.T) {
	PartInTime(t)
	s := newParting(t)
	w := s.loop.watch
	for name, crowd := range map[string]func(bool){"computing": w.occupancy.computing.Store, "behind": w.rounds.behind.Store} {
		crowd(true)
		if s.waits(2*apartStreak, 1); s.apart.Load() != nil {
			t.Fatalf("%s: parted", name)
		}
		crowd(false)
	}
	s.waits(2*apartStreak, 1)
	a := s.apart.Load()
	if stay, _ := s.review(a, true); !stay {
		t.Fatal("rejoined without a reason")
	}
	w.occupancy.computing.Store(true)
	if stay, pause := s.review(a, true); stay || pause != 0 {
		t.Errorf("stays apart %v, pause %d; want it back in its loop", stay, pause)
	}
}

func TestCrowdStaysApart(t *testing.T) {
	PartInTime(t)
	s := newParting(t)
	w := s.loop.watch
	s.waits(2*apartStreak, 1)
	a := s.apart.Load()
	review := func(busy bool, sockets int64, events uint64, age time.Duration) (stay bool, pause int32) {
		w.occupancy.busy.Store(busy)
		s.loop.sockets.Store(sockets)
		a.since, a.waits, a.disturbed = sinceStart()-age, 0, false
		s.undisturbed(w) // from here on
		for range apartReview {
			w.events.Add(events / apartReview)
			if stay, pause = s.review(a, true); !stay {
				return
			}
		}
		return
	}
	for name, c := range map[string]struct {
		busy    bool
		sockets int64
		events  uint64
		age     time.Duration
		stay    bool
	}{
		"few, busy":   {true, apartFew, 1e9, time.Second, true},
		"many, idle":  {false, apartFew + 1, 1e9, time.Second, true},
		"crowd":       {true, apartFew + 1, 1e9, time.Second, false},
		"alone":       {false, 1, apartReview, time.Millisecond, false},
		"alone, idly": {false, 1, apartReview, time.Minute, true},
	} {
		if stay, pause := review(c.busy, c.sockets, c.events, c.age); stay != c.stay || name == "alone" && pause >= 0 {
			t.Errorf("%s: stays apart %v, pause %d; want %v, and a pause if it is alone", name, stay, pause, c.stay)
		}
	}
	w.occupancy.busy.Store(true)
	s.loop.sockets.Store(apartFew + 1)
	s.rejoin(a, 0)
	if s.waits(2*apartStreak, 1); s.apart.Load() != nil {
		t.Error("a crowd parts")
	}
	w.occupancy.busy.Store(false)
	if s.waits(2*apartStreak, 1); s.apart.Load() == nil {
		t.Fatal("still in its loop")
	}
	a = s.apart.Load()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if stay, _ := review(false, 2, apartReview, time.Minute); stay {
		t.Error("stays apart on one processor")
	}
}

func TestApartSocketsTakeAllDescriptors(t *testing.T) {
	a := aparts{most: 2, sockets: map[*socket]struct{}{}}
	first := new(socket)
	if !a.add(first) || !a.add(new(socket)) || a.add(new(socket)) {
		t.Error("want room for two")
	}
	if a.remove(first); !a.add(new(socket)) || a.count() != 2 {
		t.Error("no room though one has left")
	}
	var real aparts
	real.add(first)
	if real.most < 1 || real.most > apartMost {
		t.Errorf("room for %d", real.most)
	}
}

// Sockets of datagrams and listeners part at once, and stay whatever happens.
func TestListenerIsLeftToItsLoop(t *testing.T) {
	PartInTime(t)
	s := newParting(t)
	s.staysApart = true
	w := s.loop.watch
	w.occupancy.computing.Store(true)
	w.occupancy.busy.Store(true)
	w.rounds.behind.Store(true)
	s.loop.sockets.Store(apartFew + 1)
	if s.waits(1, 100); s.apart.Load() == nil {
		t.Fatal("still in its loop")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 2 * apartReview {
		if stay, _ := s.review(s.apart.Load(), false); !stay {
			t.Fatal("rejoined")
		}
	}
}

// A socket that is alone leaves its place apart in order to become solo, which only
// plain reads do.
func TestSocketRejoinsForNothing(t *testing.T) {
	PartInTime(t)
	s := newParting(t)
	s.waits(2*apartStreak, 1)
	a := s.apart.Load()
	for range 2 * apartReview {
		if stay, _ := s.review(a, false); !stay {
			t.Fatal("rejoined in order to be solo, which it cannot be")
		}
	}
	for range apartReview {
		if stay, _ := s.review(a, true); !stay {
			return
		}
	}
	t.Error("stays apart though it is alone")
}
