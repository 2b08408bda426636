package driver

import "context"

// submission is a way to get requests to the kernel.
type submission interface {
	// register takes over the request, which is Submitted from here on. On an
	// error the kernel has not seen it and it is the caller's again.
	register(o *Op) error

	home

	// turn reaps what has completed, for the owner's turn. It may be called
	// from the turning goroutine only.
	turn()

	// shutdown refuses new requests, cancels those there are, and waits for
	// the kernel to give them back. What it has not given back when ctx ends
	// is returned, and kept.
	shutdown(ctx context.Context) []Stuck
}

// home is where a request was registered.
type home interface {
	// cancel asks the kernel to give the request up. It returns at once.
	cancel(o *Op)
}
