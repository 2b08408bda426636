// Package probe reports whether io_uring can be used here, and if not, why not.
//
// [Run] finds out by trying: it sets up a small ring, asks it for its
// operations, and closes it. The kernel's version does not decide whether
// io_uring is usable: kernels are built without it, distributions backport
// features, and containers, sandboxes and administrators switch it off in
// different ways. The version, the sysctls, the seccomp mode and the limits
// only serve as evidence for why a call failed, because a single errno can have
// several reasons. So the reason can be wrong where a distribution has changed
// its kernel; the verdict is not.
//
// [Get] remembers the answer. [Explain] turns the error of an io_uring_setup(2)
// that was made elsewhere into a reason.
package probe
