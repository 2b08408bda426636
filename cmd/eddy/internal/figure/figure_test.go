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
	if got := Ratio(1, 0); got != 0 || Times(got) != "" {
		t.Errorf("%v, %q", got, Times(got))
	}
	if got := Times(Ratio(1, 20)); got != "0.050x" {
		t.Errorf("%q", got)
	}
}
