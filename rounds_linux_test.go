package eddy

import (
	"testing"
	"time"
)

func newRounds() *rounds {
	var r rounds
	r.init()
	return &r
}

func TestLoopFallsBehindAndNobodyMakesRounds(t *testing.T) {
	r := newRounds()
	if !r.happened(0) {
		t.Fatal("no round after the first event")
	}
	if r.happened(1) {
		t.Fatal("a second timer for the same round")
	}
	again, fell := r.went(true, time.Millisecond)
	if !again || !fell || !r.behind.Load() {
		t.Errorf("after a round that was proof: again %v, fell %v, behind %v; want all", again, fell, r.behind.Load())
	}
	if _, fell := r.went(true, time.Millisecond); fell {
		t.Error("fell behind twice")
	}
}

func TestRoundsGoOnWhereLoopsAreOnTime(t *testing.T) {
	r := newRounds()
	r.happened(0)
	made, now := 1, time.Duration(0)
	for now < time.Second { // events all the time, all of them on time
		now += roundFast
		again, _ := r.went(false, now)
		for !again {
			now += 10 * time.Microsecond
			again = r.happened(now)
		}
		made++
	}
	if most := 2 * int(time.Second/roundRest+1); made > most {
		t.Errorf("%d rounds in a second in which nothing was late, want at most %d", made, most)
	}
}

func TestOneRoundOnTimeEndsThemWhileStillBehind(t *testing.T) {
	r := newRounds()
	r.happened(0)
	r.went(true, 0)
	for i := range roundPatience - 1 {
		if again, _ := r.went(false, 0); !again || !r.behind.Load() {
			t.Fatalf("on time after %d rounds that proved nothing, want %d", i+1, roundPatience)
		}
	}
	if again, _ := r.went(false, 0); again || r.behind.Load() {
		t.Errorf("still behind after %d rounds that proved nothing", roundPatience)
	}
}

// TestFirstRoundAfterARestIsBelieved catches a loop that is taken to be on time
// because the one round that looked happened to be.
func TestFirstRoundAfterARestIsBelieved(t *testing.T) {
	r := newRounds()
	r.happened(0)
	if again, _ := r.went(false, 0); !again {
		t.Error("one round on time was enough to rest")
	}
	if again, _ := r.went(false, 0); again {
		t.Error("two rounds on time were not")
	}
	if r.happened(roundRest - 1) {
		t.Error("a round during the rest")
	}
	if !r.happened(roundRest) {
		t.Error("no round after the rest")
	}
}
