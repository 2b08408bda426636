// Package background is the other work of a machine on which something is measured: goroutines that compute,
// goroutines that write and fsync, and a heap full of garbage. It is the same for all sides, the standard library's.
package background
