// Package fusetest holds the tests that need a file system which hangs: a FUSE
// file system served by the test itself, whose files answer when they are told
// to. It is a module of its own, so that the library does not depend on one for
// FUSE. It needs /dev/fuse and the right to mount.
package fusetest
