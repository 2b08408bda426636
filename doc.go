// Package eddy is the I/O driver for Go: readiness (epoll), completion
// (io_uring) and Unix signals in one driver, with plain Go types on top.
//
// A program that just wants faster files uses the package's functions, which
// share one driver made at first use:
//
//	f, err := eddy.Open("data")
//	n, err := f.ReadAt(p, off)
//
// # Files
//
// A [File] does what *os.File does, with the same errors: *fs.PathError around
// an errno, fs.ErrNotExist, fs.ErrClosed, os.ErrDeadlineExceeded, io.EOF bare.
// It adds [File.ReadAtContext] and its like, which return when their context
// ends even if the file system never answers; deadlines for disk files; and
// [File.ReadBatch].
//
// Which way an operation takes is decided by measurement, while the program
// runs: page-cached data is copied inline, a few operations at once are plain
// system calls, many go to the ring, and when the processors are saturated they
// are plain calls again.
//
// # Memory
//
// A buffer handed to a method is used until the method returns and never
// after. An operation that may be abandoned runs on memory of the driver's,
// which is given back when the kernel has let go of it. Buffers may lie
// anywhere, mapped memory included.
//
// # Backends
//
// Where io_uring cannot be had the same methods work without it, and
// [Driver.Status] says why. The environment variable EDDY_BACKEND, set to
// "uring", "epoll" or "portable", overrides [BackendAuto].
//
// # Concurrency
//
// All methods of all types may be called from any goroutine at any time,
// unless they say otherwise.
//
// Sources: io_uring(7), epoll(7), preadv2(2), signal(7),
// include/uapi/linux/io_uring.h.
package eddy
