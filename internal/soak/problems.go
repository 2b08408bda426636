package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// problems are what must not have happened. The first of each kind are printed
// when they do, all are counted.
type problems struct {
	out     io.Writer
	corrupt atomic.Int64 // bytes

	mu     sync.Mutex
	total  int
	counts map[string]int
}

// printed is how many problems of a kind are printed.
const printed = 5

// add tells of a problem. The kind is a few words that are the same each time.
func (p *problems) add(kind, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	p.total++
	p.counts[kind]++
	if p.counts[kind] <= printed {
		fmt.Fprintf(p.out, "VIOLATION: %s: %s\n", kind, fmt.Sprintf(format, args...))
	}
}

// corruption tells of wrong bytes.
func (p *problems) corruption(bytes int, format string, args ...any) {
	p.corrupt.Add(int64(bytes))
	p.add("corrupt bytes", format, args...)
}

func (p *problems) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}
