// Package slab keeps values under keys that go stale: a key names a slot and
// the generation of its owner, so a key kept too long finds nothing instead of
// the slot's next owner.
//
// It is made for requests that a kernel answers later. The answer carries the
// key (user_data of io_uring, data of epoll), and an answer that comes twice,
// late, or for something long gone must not reach whoever has the slot now.
//
// A Slab is not safe for concurrent use; its user holds a lock or is one
// goroutine.
package slab
