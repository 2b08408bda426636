package main

// The limits of what a benchmark can be asked for. Beyond them it would end in the middle, for want of memory or because
// the Go runtime ends a process with 10000 threads, of which every goroutine in a file operation takes one.
const (
	mostConnections = 1 << 20
	mostBytes       = 64 << 20 // in one batch
	mostRate        = 10_000_000
	mostBlocks      = 1 << 18 // in all batches of bench file, 1 GiB of them
	mostThreads     = 8192
	mostFsync       = 1024
	mostBusy        = 1 << 16
	mostRounds      = 1 << 16
	mostProcs       = 1 << 16
	mostLoops       = 1 << 10 // eddy.Config.Loops

	// The datagrams that are under way have to fit a socket's receive buffer, in which each takes more than its bytes:
	// net.core.rmem_default is 208 KiB.
	datagramRoom = 160 << 10
	datagramCost = 1 << 10

	// leastSeconds is the shortest measurement. Below it the clock's readings themselves are what is measured.
	leastSeconds = 0.001
	mostSeconds  = 3600
)

// intRange says between which limits the values of a flag are.
type intRange struct {
	name      string
	values    []int
	low, high int
}

func checkRanges(ranges []intRange) error {
	for _, r := range ranges {
		if len(r.values) == 0 {
			return usagef("--%s: at least one number", r.name)
		}
		for _, v := range r.values {
			if v < r.low || v > r.high {
				return usagef("--%s %d: it must be from %d to %d", r.name, v, r.low, r.high)
			}
		}
	}
	return nil
}

// checkLengths checks --seconds and --warmup; the comparisons are so that NaN is refused too.
func checkLengths(seconds, warmup float64) error {
	if !(seconds >= leastSeconds && seconds <= mostSeconds) {
		return usagef("--seconds %v: it must be from %v to %v", seconds, leastSeconds, mostSeconds)
	}
	if !(warmup >= 0 && warmup <= mostSeconds) {
		return usagef("--warmup %v: it must be from 0 to %v", warmup, mostSeconds)
	}
	return nil
}
