package main

import "testing"

func TestDatagramThatComesTwicePasses(t *testing.T) {
	var w window
	for _, step := range []struct {
		number uint64
		again  bool
	}{{1, false}, {1, true}, {3, false}, {2, false}, {2, true}, {66, false}, {3, true}, {4, false}, {4, true}, {66, true}, {200, false}, {199, false}, {200, true}, {199, true}} {
		if w.again(step.number) != step.again {
			t.Errorf("%d: came before: %v", step.number, !step.again)
		}
	}
}
