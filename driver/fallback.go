package driver

import "github.com/eddyio/eddy/probe"

// Fallback is something that was wanted and could not be had.
type Fallback struct {
	Wanted   string       // "io_uring", "submit thread"
	Reason   probe.Reason // why not, in a word
	Evidence []string     // what was seen
	Err      error        // what the kernel answered, if it was asked
}
