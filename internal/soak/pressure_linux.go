package main

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// garbageHeld is how much of the garbage is held at once. It counts as live, so it
// is not much.
const garbageHeld = 4 << 20

// press makes garbage in heaps, and sets a memory limit now and then that cannot be
// kept, which makes the collector run without a rest, and those who allocate give
// back to the kernel what is free.
func (s *soak) press(p *pulse) {
	defer debug.SetMemoryLimit(math.MaxInt64)
	rng := rand.New(rand.NewPCG(s.o.seed, 6<<32))
	for !s.stopping() {
		p.beat()
		switch rng.IntN(4) {
		case 0:
			debug.SetMemoryLimit(1)
		case 1:
			debug.SetMemoryLimit(int64(s.memory.live.Load()) + 32<<20)
		default:
			debug.SetMemoryLimit(math.MaxInt64)
		}
		var held [][]byte
		size, total := 1<<(10+rng.IntN(12)), 1<<(20+rng.IntN(6))
		for made := 0; made < total && !s.stopping(); made += size {
			garbage := make([]byte, size)
			fillCanary(garbage)
			if held = append(held, garbage); len(held)*size > garbageHeld {
				held = nil
			}
			if rng.IntN(64) == 0 {
				p.beat()
				s.pause(time.Millisecond)
			}
		}
		s.pause(time.Duration(rng.IntN(100)) * time.Millisecond)
	}
}
