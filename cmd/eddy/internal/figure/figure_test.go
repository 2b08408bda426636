package figure

import "testing"

func TestLatencyLosesItsUnit(t *testing.T) {
	for us, want := range map[float64]string{0: "-", 1.25: "1.2 us", 123.4: "123 us", 1500: "1.5 ms", 150e3: "150 ms"} {
		if got := Latency(us); got != want {
			t.Errorf("%v: %q, want %q", us, got, want)
		}
	}
}

func TestMedianIsTheMean(t *testing.T) {
	for want, values := range map[float64][]float64{3: {3}, 2: {9, 1, 2}, 2.5: {100, 2, 3, 1}} {
		if got := Median(values); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestUnknownRatioIsInfinite(t *testing.T) {
	itself := func(v float64) float64 { return v }
	if got := MedianRatio([]float64{1}, []float64{0}, itself); got != 0 || Times(got) != "" {
		t.Errorf("%v, %q", got, Times(got))
	}
	if got := MedianRatio([]float64{7, 8, 9}, []float64{0, 2, 0}, itself); got != 4 {
		t.Errorf("%v, want that of the round that knows both", got)
	}
	if got := Times(0.05); got != "0.050x" {
		t.Errorf("%q", got)
	}
}

// TestMachineThatChangesItsSpeedChangesTheRatio catches a ratio of medians: they need not be of the same round.
func TestMachineThatChangesItsSpeedChangesTheRatio(t *testing.T) {
	itself := func(v float64) float64 { return v }
	speed := []float64{100, 300, 200, 150, 260}
	a, b := make([]float64, len(speed)), make([]float64, len(speed))
	for i, s := range speed {
		a[i], b[i] = 1.5*s, s
	}
	a[2] = 0.1 // one round in which something else happened
	if got := MedianRatio(a, b, itself); got != 1.5 {
		t.Errorf("%v, want 1.5", got)
	}
}
