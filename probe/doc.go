// Package probe tells whether io_uring can be used here, and if not, why not.
//
// [Run] asks the kernel by doing: it sets up a small ring, asks it for its
// operations, and closes it. Version numbers decide nothing, since kernels are
// built without io_uring, distributions carry features back, and containers,
// sandboxes and administrators switch it off in different ways. Versions, the
// sysctl, the seccomp mode and the limits are read as evidence, to tell apart
// what a single errno can mean.
//
// [Get] keeps the answer; [Explain] turns the error of somebody else's
// io_uring_setup(2) into a reason.
package probe
