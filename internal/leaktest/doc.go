// Package leaktest finds what a test leaves behind: goroutines that still run
// and file descriptors that are still open, or that the test closed though they
// were not its own.
package leaktest
