// Package uring is io_uring for Go, without cgo: rings, typed preparation of
// submission entries, completions, and the registration calls.
//
// It is a thin layer. It starts no goroutines, keeps no request alive and does
// not match completions to requests. Whoever submits an entry is responsible
// for all memory that the entry points to until the request's terminal
// completion: the first one without [CQEFMore], which for zero-copy sends is
// the notification. The garbage collector does not see the addresses in an
// entry. So until then the memory must be on the heap (the Prep methods see to
// that), reachable, and pinned with [runtime.Pinner] since before the
// submission. Cancelling a request, closing its file or closing the ring does
// not end that duty early.
//
// # Who may call what
//
// A [Ring] has a submission side (Next, Submit, SubmitGetEvents, SubmitAndWait,
// SubmitAndWaitMin) and a completion side (Reap, ReapBig, Wait; SubmitAndWait
// belongs to both). Each side has one caller at a time; the two may be
// different goroutines. Registration calls may come from any goroutine, because
// the kernel orders them. A ring made with [SetupSingleIssuer] is an exception:
// every call that enters the kernel for it must come from the thread that
// created or enabled it, so lock the goroutine to its thread
// (runtime.LockOSThread).
//
// A request belongs to the thread that submitted it. When that thread exits,
// the kernel cancels the requests that it had in flight (ECANCELED): those that
// a worker has at once, and those that wait for a file or a time only when they
// would continue. Goroutines move between threads, which rarely exit; but a
// goroutine that ends while it is locked to its thread takes the thread with
// it.
//
// # Preparing entries
//
// The Prep methods of [SQE] fill in an entry for one operation. They overwrite
// every field except Flags and UserData. Fields that an operation takes in
// addition to the arguments (Personality, the Ioprio of reads, the buffer group
// in BufIndex for SQEBufferSelect) are set afterwards.
//
// All memory that an argument points to belongs to the kernel from the
// submission to the terminal completion. Until then it must stay reachable,
// pinned and unchanged. "Until the completion" in the comments means the
// terminal completion. Where a comment says "until submitted", the kernel makes
// its own copy during the submission (FeatSubmitStable, kernel 5.5). With
// SetupSQPoll it does so when its thread consumes the entry, which is hard to
// observe, so keep the memory until the completion.
//
// A path or a name is a pointer to bytes that end with a zero byte, as
// unix.BytePtrFromString makes, and is used until submitted. A relative path
// starts at dirfd, or at the working directory if dirfd is unix.AT_FDCWD.
//
// A file descriptor is looked up when the request starts, which may be later
// than the submission (links, drains), so it must stay open until the
// completion. With SQEFixedFile it is an index of the registered files instead.
//
// The result of an operation, in CQE.Res, is what the system call of the same
// name would return, or a negated errno.
//
// # Versions and sources
//
// Comments name the kernel version that introduced a feature and the manual
// page that specifies it. Sources are io_uring(7), io_uring_setup(2),
// io_uring_enter(2), io_uring_register(2), and the kernel's
// include/uapi/linux/io_uring.h. A test compares sizes, offsets and constants
// with that header (testdata/uapi.txt).
package uring

// To regenerate the table, set UAPI_HEADER to include/uapi/linux/io_uring.h of a
// kernel tree that is as new as the table, and run go generate.

//go:generate sh testdata/layout.sh $UAPI_HEADER testdata/uapi.txt
