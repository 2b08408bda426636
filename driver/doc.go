// Package driver joins readiness (epoll), completion (io_uring) and Unix
// signals in one I/O driver, for those who build their own scheduler or their
// own types on top. Applications import package eddy instead.
//
// # Who does what
//
// A [Driver] has one owner, which turns it: [Driver.Turn] waits for events and
// dispatches them, [Driver.Park] and [Driver.ParkTimeout] are turns that wait.
// A [Handle] is for everybody else: any goroutine registers descriptors with
// [Handle.Register], submits requests with [Handle.RegisterOp], gives them up
// with [Handle.CancelOp] and wakes the owner with [Handle.Unpark].
//
// A driver is turned by a loop of its owner's, or by another loop:
// [Driver.Fd] is a pollable descriptor that is readable whenever a turn would
// find something to do.
//
// # Requests and memory
//
// An [Op] is one request on the ring. From [Handle.RegisterOp] until the
// kernel has posted the request's terminal completion, the driver keeps
// everything the kernel may read or write: the memory is reachable and pinned,
// the descriptor's number is held. Cancelling asks the kernel and waits for
// that same completion; memory is never given back on the strength of a cancel
// request's own result.
//
// # Two ways to submit
//
// With [SubmitShared] the calling goroutine's thread enters the kernel. With
// [SubmitThread] one locked thread submits for all and reaps. The kernel ties
// a request to the thread that submitted it: its completion work runs there
// and nowhere else, and it is cancelled when that thread exits. That is why
// the thread, which does nothing else, is the default where there is more than
// one processor to run it on. A request that the kernel cancels though nobody
// asked for it is submitted again, in either mode.
//
// A third way, [Handle.HoldOp], is a ring of the caller's own for the length
// of one request: the caller waits in the kernel itself, as it would in
// pread(2), and yet can leave.
//
// Sources: io_uring(7), io_uring_setup(2), io_uring_enter(2), epoll(7),
// include/uapi/linux/io_uring.h.
package driver
