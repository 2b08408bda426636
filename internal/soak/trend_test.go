package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func line(n int, slope, noise float64) []sample {
	rng := rand.New(rand.NewPCG(1, 2))
	samples := make([]sample, n)
	for i := range samples {
		at := time.Duration(i) * time.Second
		samples[i] = sample{at, 50e6 + slope*at.Seconds() + noise*rng.NormFloat64()}
	}
	return samples
}

func TestSlopeIsWrong(t *testing.T) {
	for _, slope := range []float64{0, 1000, -3e6} {
		got := trendOf(line(60, slope, 0))
		if math.Abs(got.slope-slope) > 1e-3 || got.error > 1 || got.window != 59*time.Second {
			t.Errorf("slope %v: %+v", slope, got)
		}
	}
}

// The error has to say how wrong the slope may be.
func TestNoiseIsTakenForALeak(t *testing.T) {
	for _, slope := range []float64{0, 50_000} {
		got := trendOf(line(100, slope, 2e6))
		if got.spread < 1.5e6 || got.spread > 2.5e6 {
			t.Errorf("spread %v, noise 2e6", got.spread)
		}
		if math.Abs(got.slope-slope) > 3*got.error {
			t.Errorf("slope %v ± %v, was %v", got.slope, got.error, slope)
		}
		if got.error > 20_000 { // 2e6 / sqrt(sum of squares of the times)
			t.Errorf("error %v", got.error)
		}
	}
}
