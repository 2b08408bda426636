// Package uring is io_uring for Go: rings, typed preparation of submission
// entries, completions, and the registration calls, without cgo.
//
// It is a thin layer. It starts no goroutine, keeps no request alive and
// matches no completion to its request: whoever submits an entry owns all
// memory the entry points to until the request's terminal completion, that is
// the first one without [CQEFMore] (for zero-copy sends that is the
// notification). An entry holds bare addresses that the garbage collector does
// not see, so the memory must be on the heap (the Prep methods see to that),
// kept reachable, and pinned with [runtime.Pinner] from before the submission
// until the terminal completion. Cancelling a request, closing its file or
// closing the ring does not end that duty early.
//
// # Who may call what
//
// A [Ring] has a submission side (Next, Submit, SubmitGetEvents,
// SubmitAndWait, SubmitAndWaitMin) and a completion side (Reap, ReapBig, Wait;
// SubmitAndWait belongs to both). Each side has one caller at a time; the two
// may be different goroutines. Registration calls may come from any goroutine
// (the kernel orders them), unless the ring was made with
// [SetupSingleIssuer]: then every call that enters the kernel for it must come
// from the thread that created or enabled it, so lock the goroutine to its
// thread (runtime.LockOSThread).
//
// A request belongs to the thread that submitted it: when that thread exits,
// the kernel cancels what it had in flight (ECANCELED), at once what a worker
// has, and what waits for a file or a time only when it would go on. Goroutines roam over
// threads that rarely exit, but a goroutine that ends while locked to its
// thread takes the thread with it.
//
// # Numbers
//
// Comments name the kernel version that brought a feature and the man page
// that specifies it: io_uring(7), io_uring_setup(2), io_uring_enter(2),
// io_uring_register(2), and the kernel's include/uapi/linux/io_uring.h, against
// which sizes, offsets and constants are checked by a test
// (testdata/uapi.txt).
package uring

// The table is made anew with UAPI_HEADER=.../include/uapi/linux/io_uring.h go generate.

//go:generate sh testdata/layout.sh $UAPI_HEADER testdata/uapi.txt
