// Package kernels runs the tests of the module on kernels other than the one at
// hand, and on other processors: it is what the init program of the guests
// (package init) and the program that starts them (package run) share.
//
// A guest is a kernel as Debian ships it and an initramfs with static test
// binaries, an init program, a [Plan], and nothing else: no shell, no disk, no
// modules, no network but the loopback. The init program runs what the plan says
// and tells about it in lines on the serial console, see [Transcript].
package kernels
