package main

import (
	"io"
	"testing"
	"time"
)

// The rates and the noise are those of a machine that does much else besides.
func TestLeakOfAHundredBytesPerOperationPasses(t *testing.T) {
	const files, sockets, noise = 1700, 13000, 2e6
	judged := func(length time.Duration, leak float64) bool {
		s := &soak{o: options{time: length}, out: io.Discard}
		s.problems.out = io.Discard
		n := int(length.Seconds() * 2 / 3)
		done := operations{files: uint64(files * n), sockets: uint64(sockets * n), drivers: uint64(n)}
		s.judge("live heap", trendOf(line(n, leak, noise)), heapAllowance, done)
		s.judge("resident", trendOf(line(n, leak, noise)), residentAllowance, done)
		return s.count() == 0
	}
	for _, length := range []time.Duration{5 * time.Minute, 10 * time.Minute, time.Hour} {
		if !judged(length, 0) {
			t.Errorf("%v without a leak fails", length)
		}
		for what, leak := range map[string]float64{"file": 100 * files, "socket": 100 * sockets} {
			if judged(length, leak) {
				t.Errorf("%v with a leak of 100 bytes for each %s operation passes", length, what)
			}
		}
	}
	if !judged(30*time.Second, 0) || judged(30*time.Second, 100*sockets) {
		t.Error("a short one is misjudged")
	}
}
