package slab_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/eddyio/eddy/internal/slab"
)

func TestStaleKeyNeverReachesNextOwner(t *testing.T) {
	var s slab.Slab[string]
	first, _ := s.Insert("first")
	s.Remove(first)
	second, _ := s.Insert("second")
	if first.Index() != second.Index() {
		t.Fatalf("slot not reused (%v, %v): the test tests nothing", first, second)
	}
	if v, ok := s.Get(first); ok {
		t.Errorf("Get of a stale key found %q", *v)
	}
	if v, ok := s.Remove(first); ok {
		t.Errorf("Remove of a stale key took %q", v)
	}
	if v, ok := s.Get(second); !ok || *v != "second" {
		t.Errorf("the owner is gone")
	}
}

func TestKeyNeverGivenOutFindsNothing(t *testing.T) {
	var s slab.Slab[int]
	if _, ok := s.Get(0); ok {
		t.Error("the zero key found something in an empty slab")
	}
	k, _ := s.Insert(1)
	for _, bad := range []slab.Key{
		0, slab.Key(k.Index()), k + 1, k + 1<<24, k | 1<<slab.KeyBits, k | 1<<63, math.MaxUint64,
		slab.Key(1)<<24 | slab.ChunkSlots, slab.Key(1)<<24 | (slab.MaxSlots - 1),
	} {
		if _, ok := s.Get(bad); ok {
			t.Errorf("Get(%v) found something; the only key is %v", bad, k)
		}
		if _, ok := s.Remove(bad); ok {
			t.Errorf("Remove(%v) took something; the only key is %v", bad, k)
		}
	}
	if s.Len() != 1 {
		t.Errorf("Len is %d, want 1", s.Len())
	}
}

func TestGenerationWrapsPastZero(t *testing.T) {
	var s slab.Slab[int]
	k, _ := s.Insert(1)
	s.Remove(k)
	s.SetGeneration(k, math.MaxUint32-1)
	last, _ := s.Insert(2)
	if last.Generation() != math.MaxUint32 || last>>slab.KeyBits != 0 {
		t.Fatalf("key %#x does not have the last generation, or sets tag bits", uint64(last))
	}
	s.Remove(last)
	wrapped, _ := s.Insert(3)
	if wrapped.Generation() != 1 {
		t.Errorf("generation after the last is %d, want 1", wrapped.Generation())
	}
	if _, ok := s.Get(last); ok {
		t.Error("a key from before the wrap is still found")
	}
}

func TestPointersStayValidWhileTheSlabGrows(t *testing.T) {
	var s slab.Slab[int]
	var places []*int
	var keys []slab.Key
	for i := range 50 * slab.ChunkSlots {
		k, p := s.Insert(i)
		keys, places = append(keys, k), append(places, p)
	}
	for i, k := range keys {
		p, ok := s.Get(k)
		if !ok || p != places[i] || *p != i {
			t.Fatalf("value %d moved from %p to %p", i, places[i], p)
		}
	}
}

func TestLimitRefusesAndThenAdmits(t *testing.T) {
	var s slab.Slab[int]
	if s.Limit() != slab.MaxSlots {
		t.Errorf("limit of the zero value is %d, want %d", s.Limit(), slab.MaxSlots)
	}
	s.SetLimit(2)
	a, _ := s.Insert(1)
	s.Insert(2)
	if k, p := s.Insert(3); k != 0 || p != nil {
		t.Fatalf("Insert at the limit gave %v, %p", k, p)
	}
	s.Remove(a)
	if k, p := s.Insert(3); k == 0 || p == nil {
		t.Error("Insert below the limit was refused")
	}
	s.SetLimit(1)
	if s.Len() != 2 {
		t.Errorf("lowering the limit lost values: %d left of 2", s.Len())
	}
	for _, n := range []int{0, -1, slab.MaxSlots + 1} {
		s.SetLimit(n)
		if s.Limit() != slab.MaxSlots {
			t.Errorf("SetLimit(%d) set %d", n, s.Limit())
		}
	}
}

func TestVacatedSlotsAreReusedLastFirst(t *testing.T) {
	var s slab.Slab[int]
	var keys []slab.Key
	for i := range 4 {
		k, _ := s.Insert(i)
		keys = append(keys, k)
	}
	s.Remove(keys[1])
	s.Remove(keys[3])
	s.Remove(keys[0])
	for _, want := range []uint32{0, 3, 1, 4} {
		if k, _ := s.Insert(9); k.Index() != want {
			t.Errorf("reused slot %d, want %d", k.Index(), want)
		}
	}
}

func TestRemovedValueIsNotKeptAlive(t *testing.T) {
	var s slab.Slab[*[1 << 10]byte]
	collected := make(chan struct{})
	func() {
		v := new([1 << 10]byte)
		runtime.AddCleanup(v, func(done chan struct{}) { close(done) }, collected)
		k, _ := s.Insert(v)
		s.Remove(k)
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-collected:
			runtime.KeepAlive(&s)
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the removed value is still referenced after 100 collections")
	runtime.KeepAlive(&s)
}

func TestNoAllocationOnceGrown(t *testing.T) {
	var s slab.Slab[[4]uint64]
	const n = 3 * slab.ChunkSlots
	keys := make([]slab.Key, 0, n)
	churn := func() {
		for range n {
			k, _ := s.Insert([4]uint64{1})
			keys = append(keys, k)
		}
		for _, k := range keys {
			s.Remove(k)
		}
		keys = keys[:0]
	}
	churn()
	if allocs := testing.AllocsPerRun(10, churn); allocs != 0 {
		t.Errorf("%v allocations in a slab that had grown", allocs)
	}
}

func TestEachSurvivesRemovalOfWhatItHasYetToVisit(t *testing.T) {
	var s slab.Slab[int]
	var keys []slab.Key
	for i := range 10 {
		k, _ := s.Insert(i)
		keys = append(keys, k)
	}
	var visited []int
	for k, v := range s.Each {
		at := *v
		visited = append(visited, at)
		s.Remove(k)
		s.Remove(keys[(at+1)%len(keys)])
	}
	if want := []int{0, 2, 4, 6, 8}; !slices.Equal(visited, want) {
		t.Errorf("visited %v, want %v", visited, want)
	}
	s.Insert(1)
	s.Insert(2)
	stops := 0
	for range s.Each {
		stops++
		break
	}
	if stops != 1 {
		t.Errorf("visited %d after being told to stop", stops)
	}
}

// TestRandomChurnMatchesModel compares the slab with a map through random
// inserts, removals and look-ups, stale keys included.
func TestRandomChurnMatchesModel(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	var s slab.Slab[int]
	s.SetLimit(300)
	model := map[slab.Key]int{}
	var given []slab.Key // every key ever given out
	for step := range 200_000 {
		switch r.IntN(3) {
		case 0:
			k, p := s.Insert(step)
			if full := len(model) == 300; full != (p == nil) {
				t.Fatalf("step %d: %d values held, Insert gave %v, %p", step, len(model), k, p)
			} else if full {
				continue
			}
			if _, dup := model[k]; dup {
				t.Fatalf("step %d: key %v given out twice", step, k)
			}
			model[k] = step
			given = append(given, k)
		case 1:
			if len(given) == 0 {
				continue
			}
			k := given[len(given)-1-r.IntN(min(len(given), 600))]
			v, ok := s.Remove(k)
			if want, held := model[k]; ok != held || v != want {
				t.Fatalf("step %d: Remove(%v) = %d, %v; want %d, %v", step, k, v, ok, want, held)
			}
			delete(model, k)
		case 2:
			if len(given) == 0 {
				continue
			}
			k := given[len(given)-1-r.IntN(min(len(given), 600))]
			p, ok := s.Get(k)
			want, held := model[k]
			if ok != held || ok && *p != want {
				t.Fatalf("step %d: Get(%v) found %v, want %v", step, k, ok, held)
			}
		}
		if s.Len() != len(model) {
			t.Fatalf("step %d: Len is %d, want %d", step, s.Len(), len(model))
		}
	}
	for k, v := range s.Each {
		if want, held := model[k]; !held || want != *v {
			t.Errorf("Each visited %v = %d; want %d, held %v", k, *v, want, held)
		}
		delete(model, k)
	}
	if len(model) != 0 {
		t.Errorf("Each left out %d values", len(model))
	}
}
