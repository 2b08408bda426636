package eddy

import "time"

// epoch is when the clock of sockets and choosers began.
var epoch = time.Now()

func sinceStart() time.Duration { return time.Since(epoch) }
