package eddy

import (
	"testing"
	"time"
)

// ask tells a gate what n looks found, as far as it lets readers look, and
// returns how many did. The clock moves by step between them.
func (g *gate) ask(n int, found bool, now *time.Duration, step time.Duration) (looked int) {
	for range n {
		*now += step
		if g.mayLook(*now) {
			looked++
			g.looked(found)
		}
	}
	return looked
}

func TestGateThatFindsNothingKeepsLooking(t *testing.T) {
	var g gate
	now := time.Second
	g.begin()
	if looked := g.ask(1000, false, &now, time.Microsecond); looked > 40 {
		t.Errorf("%d of 1000 readers looked though none found anything", looked)
	}
	// Shut: one in gateProbe.
	if looked := g.ask(1000, false, &now, 100*time.Microsecond); looked < 80 || looked > 100 {
		t.Errorf("%d readers looked in 100 ms at a shut gate, want one in %v", looked, gateProbe)
	}
}

func TestGateStaysShutThoughLookingPays(t *testing.T) {
	var g gate // as it is: shut
	now := time.Second
	if looked := g.ask(100, true, &now, gateProbe+1); looked != 100 {
		t.Fatalf("%d probes, want 100", looked)
	}
	if looked := g.ask(100, true, &now, 1); looked != 100 {
		t.Errorf("%d of 100 readers looked though all had found data", looked)
	}
}

func TestHoldsFeedThemselvesBeyondTheirBudget(t *testing.T) {
	var b budget
	now, taken := time.Hour, 0
	for range 1_000_000 { // one second
		now += time.Microsecond
		if b.take(now) {
			taken++
		}
	}
	if taken > holdRate+budgetDepth || taken < holdRate*9/10 {
		t.Errorf("%d holds in a second, want %d", taken, holdRate)
	}
}

func TestBudgetSavedOverALongRestIsSpentAtOnce(t *testing.T) {
	var b budget
	now := time.Hour
	for b.take(now) {
	}
	now += time.Hour
	taken := 0
	for b.take(now) {
		taken++
	}
	if taken != budgetDepth {
		t.Errorf("%d holds at once after an hour's rest, want %d", taken, budgetDepth)
	}
}

// TestBudgetThatIsAskedTooOftenEarnsNothing catches earnings that are rounded
// away because they are added up in pieces below one token.
func TestBudgetThatIsAskedTooOftenEarnsNothing(t *testing.T) {
	var b budget
	now := time.Hour
	for b.take(now) {
	}
	taken := 0
	for range 100 {
		for range 10 {
			now += time.Duration(budgetPrice) / 10
			if b.take(now) {
				taken++
			}
		}
	}
	if taken < 98 {
		t.Errorf("%d of 100 holds, at the rate at which they are earned", taken)
	}
}
