package main

import (
	"fmt"
	"math"
	"time"
)

// trend is a straight line through samples, by least squares.
type trend struct {
	samples int
	slope   float64 // bytes per second
	error   float64 // standard error of the slope, if the noise is independent
	spread  float64 // bytes: standard deviation of the samples around the line
	mean    float64 // bytes
	window  time.Duration
}

// sample is memory in use at a moment.
type sample struct {
	at    time.Duration
	bytes float64
}

func trendOf(samples []sample) trend {
	t := trend{samples: len(samples)}
	if len(samples) < 3 {
		return t
	}
	n := float64(len(samples))
	var meanX, meanY float64
	for _, s := range samples {
		meanX += s.at.Seconds() / n
		meanY += s.bytes / n
	}
	var xx, xy float64
	for _, s := range samples {
		dx := s.at.Seconds() - meanX
		xx += dx * dx
		xy += dx * (s.bytes - meanY)
	}
	t.mean = meanY
	t.window = samples[len(samples)-1].at - samples[0].at
	t.slope = xy / xx
	var rest float64
	for _, s := range samples {
		d := s.bytes - meanY - t.slope*(s.at.Seconds()-meanX)
		rest += d * d
	}
	t.spread = math.Sqrt(rest / (n - 2))
	t.error = t.spread / math.Sqrt(xx)
	return t
}

// String says what the line is.
func (t trend) String() string {
	return fmt.Sprintf("%.1f MiB, slope %+.1f KiB/s ± %.1f (%d samples in %.0f s, spread %.2f MiB)",
		t.mean/(1<<20), t.slope/1024, t.error/1024, t.samples, t.window.Seconds(), t.spread/(1<<20))
}
