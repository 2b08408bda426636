package figure

import (
	"fmt"
	"slices"
)

// Median of an even number of values is the mean of the middle two. It sorts values.
func Median(values []float64) float64 {
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

// MedianOf is the median of one figure of each sample.
func MedianOf[S any](samples []S, of func(S) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return Median(values)
}

// MedianRatio is the median of a figure of each sample of a, divided by that of the sample of b from the same round: a
// machine that changes its speed between the rounds changes both. It is 0 where no round knows both.
func MedianRatio[S any](a, b []S, of func(S) float64) float64 {
	var ratios []float64
	for i := range a {
		if of(b[i]) != 0 {
			ratios = append(ratios, of(a[i])/of(b[i]))
		}
	}
	if len(ratios) == 0 {
		return 0
	}
	return Median(ratios)
}

// InTurn lets another side begin in each round: whoever comes first may find the machine in another state.
func InTurn[S any](sides []S, round int) []S {
	first := round % len(sides)
	return slices.Concat(sides[first:], sides[:first])
}

// Times writes a ratio, and nothing for one that is not known.
func Times(ratio float64) string {
	switch {
	case ratio == 0:
		return ""
	case ratio < 0.1:
		return fmt.Sprintf("%.3fx", ratio)
	default:
		return fmt.Sprintf("%.2fx", ratio)
	}
}

// Latency writes microseconds with a unit that suits them.
func Latency(us float64) string {
	switch {
	case us == 0:
		return "-"
	case us < 10:
		return fmt.Sprintf("%.1f us", us)
	case us < 1000:
		return fmt.Sprintf("%.0f us", us)
	case us < 100e3:
		return fmt.Sprintf("%.1f ms", us/1e3)
	default:
		return fmt.Sprintf("%.0f ms", us/1e3)
	}
}
