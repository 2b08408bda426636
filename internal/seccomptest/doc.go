// Package seccomptest lets a test process forbid itself system calls, as the
// seccomp filters of container engines and sandboxes do. It exists on Linux.
//
// A filter cannot be taken back, so a test starts its own binary again, as a
// child process that calls [Deny] first.
package seccomptest
