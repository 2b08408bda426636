package leaktest

import (
	"runtime"
	"strings"
)

// goroutine is one entry of the runtime's dump.
type goroutine struct {
	id    string
	stack string
}

// permanent are functions whose goroutines live as long as the process once
// something has started them.
var permanent = []string{
	"os/signal.loop",
	"os/signal.signal_recv",
	"runtime.ensureSigM",
	"runtime.ReadTrace",
	"runtime/pprof.",
}

// stacks returns all goroutines but the caller's and the permanent ones.
func stacks() []goroutine {
	buffer := make([]byte, 1<<16)
	for {
		n := runtime.Stack(buffer, true)
		if n < len(buffer) {
			buffer = buffer[:n]
			break
		}
		buffer = make([]byte, 2*len(buffer))
	}
	var list []goroutine
	for i, text := range strings.Split(strings.TrimSpace(string(buffer)), "\n\n") {
		// "goroutine 12 [running]:"
		fields := strings.Fields(text)
		if i == 0 || len(fields) < 2 || isPermanent(text) {
			continue
		}
		list = append(list, goroutine{id: fields[1], stack: text})
	}
	return list
}

func isPermanent(stack string) bool {
	for _, name := range permanent {
		if strings.Contains(stack, name) {
			return true
		}
	}
	return false
}
