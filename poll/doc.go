// Package poll reports when descriptors become ready: epoll(7) with tokens.
//
// A [Poll] waits; its [Registry] says for what. Each descriptor is registered
// once, with a [Token] of the caller's choice and the [Interest] in it. It
// comes back in an [Event] with that token and the [Ready] bits that hold.
//
//	p, err := poll.New()
//	...
//	err = p.Registry().Register(poll.SourceFd(fd), 7, poll.Readable|poll.Writable)
//	...
//	events := poll.NewEvents(128)
//	err = p.Poll(events, time.Second)
//	for event := range events.All {
//		if event.Token == 7 && event.IsReadable() {
//			// read from fd until EAGAIN
//		}
//	}
//
// The package works on Linux. On other systems the types exist, so that code
// using them compiles, and New returns an error that wraps
// errors.ErrUnsupported.
//
// # Draining readiness
//
// Events are edge-triggered (EPOLLET): an event is sent when a descriptor
// becomes ready, not for as long as it is ready. After an event, keep reading,
// writing or accepting until the call returns EAGAIN. Only from then on is
// another event certain to come.
//
// There is one shortcut, for stream sockets, pipes and terminals (epoll(7),
// question 9): a read or write that moved fewer bytes than it could have has
// reached the end as well. The shortcut does not work for listeners and
// datagram sockets, nor for a socket whose peer may have closed it: the end of
// the stream, or an error, waits behind the last bytes, and the event that
// announced those bytes is the only one that announces it.
//
// Registering a descriptor that is already ready, or calling
// [Registry.Reregister] for one, sends an event for what holds at that moment.
//
// # Spurious events
//
// An event is a hint. By the time it is handled the data may be gone: read by
// somebody else, dropped because of a bad checksum, or drained after an earlier
// event. So descriptors should be non-blocking, and EAGAIN after an event is
// not an error.
//
// Events that are already in an Events stay there when their descriptor is
// deregistered or closed, and a concurrent Poll may still return others. A
// caller that gives a token to another descriptor in the meantime must be able
// to tell them apart, for example by a generation in the token.
//
// The bits for closed directions describe a state, not an edge, and can be
// taken back: a FIFO's reader sees its last writer leave and another one come,
// and a TCP socket that is not connecting yet counts as hung up. Whoever
// remembers these bits must still believe an EAGAIN.
//
// # Closing descriptors
//
// Deregister a descriptor before closing it. The kernel forgets a registration
// when the last descriptor of an open file is closed. If the file was
// duplicated or inherited, close(2) is not enough: the file's events keep
// arriving, and no call can stop them, because the number is no longer valid or
// belongs to another file (epoll(7), question 6).
package poll
