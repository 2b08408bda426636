// Package eddy is the I/O driver for Go: readiness (epoll), completion
// (io_uring) and Unix signals in one driver, with plain Go types on top.
package eddy
