// Package eddy is an I/O driver for Go. It puts epoll (readiness), io_uring
// (completion) and Unix signals behind ordinary Go types.
//
// Most programs use the package's functions, which share one driver that is
// made at first use:
//
//	f, err := eddy.Open("data")               // instead of os.Open
//	n, err := f.ReadAt(p, off)
//
//	l, err := eddy.Listen("tcp", ":8080")     // instead of net.Listen
//	err = http.Serve(l, handler)
//
// # Sockets
//
// A [Conn], [Listener] or [PacketConn] has the methods of its counterparts in
// package net, with the same errors: *net.OpError around net.ErrClosed,
// os.ErrDeadlineExceeded or an errno, and a bare io.EOF. It adds methods that
// take a context, batches of datagrams, and segmentation offload.
// [Driver.Adopt] and its relatives take over sockets that exist already.
//
// # Files
//
// A [File] has the methods of *os.File, with the same errors: *fs.PathError
// around an errno, fs.ErrNotExist, fs.ErrClosed or os.ErrDeadlineExceeded, and
// a bare io.EOF. It adds [File.ReadAtContext] and its relatives, which return
// when their context ends even if the file system never answers; deadlines for
// disk files; and batches, [File.ReadBatch] and [File.WriteBatch].
//
// Measurements made while the program runs decide which way an operation takes.
// Page-cached data is copied inline, a few operations at once are plain system
// calls, and many go to the ring. When the processors are saturated they are
// plain system calls again.
//
// # Memory
//
// A buffer passed to a method is used until the method returns and never after.
// An operation that may be abandoned runs on a buffer that the driver owns,
// which is reused only after the kernel has finished with it. Buffers may lie
// anywhere, mapped memory included.
//
// # Backends
//
// Where io_uring cannot be used, the same methods work without it, and
// [Driver.Status] says why. The environment variable EDDY_BACKEND, set to
// "uring", "epoll" or "portable", overrides [BackendAuto].
//
// # Concurrency
//
// All methods of all types may be called from any goroutine at any time, unless
// their documentation says otherwise.
//
// Sources: io_uring(7), epoll(7), preadv2(2), signal(7),
// include/uapi/linux/io_uring.h.
package eddy
