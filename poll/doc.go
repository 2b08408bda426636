// Package poll tells when descriptors become ready: epoll(7) with tokens.
//
// A [Poll] waits; its [Registry] says for what. Each descriptor is registered
// once with a [Token] of the caller's choice and the [Interest] taken in it, and
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
// It exists on Linux. Elsewhere the types are there, so that code using them
// builds, and [New] returns an error that is [errors.ErrUnsupported].
//
// # Draining readiness
//
// Events are edge-triggered (EPOLLET): one is sent when a descriptor becomes
// ready, not for as long as it is. After an event, go on reading, writing or
// accepting until the call says EAGAIN; only from there on is another event
// certain to come. Two shortcuts are sound for stream sockets, pipes and
// terminals (epoll(7), question 9): a read or write that moved fewer bytes than
// it was given room for has met the end as well. They are not for listeners,
// datagram sockets, or a socket whose peer may have closed: the end of the
// stream, and an error, wait behind the last bytes, and are announced only by the
// event that announced those bytes too.
//
// Registering a descriptor that is ready already, or [Registry.Reregister]ing
// one, sends an event for what holds at that moment.
//
// # Spurious events
//
// An event is a hint. By the time it is handled the data may be gone: read by
// somebody else, dropped for a bad checksum, or announced by an earlier event and
// drained with it. So descriptors should be non-blocking, and EAGAIN after an
// event is no fault.
//
// Events that are in an [Events] already stay there when their descriptor is
// deregistered or closed, and so does what a concurrent Poll is just about to
// return. A caller that hands a token to another descriptor in the meantime must
// be able to tell them apart, by a generation in the token for example.
//
// The bits for closed directions are a state rather than an edge, and can be
// taken back: a FIFO's reader sees its last writer leave and another one come, a
// TCP socket that is not connecting yet counts as hung up. Whoever remembers them
// must still believe an EAGAIN.
//
// # Closing descriptors
//
// Deregister a descriptor before closing it. The kernel forgets a registration
// when the last descriptor of an open file is gone, which close(2) does not bring
// about if the file was duplicated or inherited; events of a file go on arriving
// then, and no call can stop them, because the number is no longer valid or
// belongs to another file (epoll(7), question 6).
package poll
