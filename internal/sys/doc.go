// Package sys is the boundary to the operating system: file descriptors that
// know their owner, and the system calls that golang.org/x/sys does not wrap.
//
// Nothing in here keeps state or interprets a result: a call returns what the
// kernel returned, and the caller gives each errno its meaning. Calls come in
// two forms where it matters: the plain form tells the Go scheduler that the
// thread may block, the Raw form does not and must only be used for calls that
// return at once.
package sys
