package uring_test

import (
	"bytes"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// eachSocket runs f with pairs of connected sockets of each stream family.
func eachSocket(t *testing.T, f func(t *testing.T, r *uring.Ring, a, b int)) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		a, b := socketPair(t)
		f(t, r, a, b)
		a, b = tcpPair(t)
		f(t, r, a, b)
	})
}

// TestReadBehindWriteHangsSocket queues a read of a socket first and the write
// that it needs behind, in one submission, blocking and not.
func TestReadBehindWriteHangsSocket(t *testing.T) {
	eachSocket(t, func(t *testing.T, r *uring.Ring, a, b int) {
		got := pinnedBytes(t, 128)
		vectors := []unix.Iovec{iovec(got), iovec(pinnedText(t, "over the socket"))}
		pin(t, &vectors[0])
		for _, offset := range []uint64{0, uring.CurrentPosition} {
			next(t, r, 1).PrepReadv(a, vectors[:1], offset, 0)
			next(t, r, 2).PrepWritev(b, vectors[1:], offset, 0)
			all := byUserData(t, reap(t, r, 2))
			if all[1].Res != 15 || all[2].Res != 15 || string(got[:15]) != "over the socket" {
				t.Errorf("offset %#x: %v, %q", offset, all, got)
			}
		}
		next(t, r, 1).PrepRecv(a, got, 0)
		next(t, r, 2).PrepSend(b, pinnedText(t, "sent"), 0)
		if all := byUserData(t, reap(t, r, 2)); all[1].Res != 4 || string(got[:4]) != "sent" {
			t.Errorf("recv: %v, %q", all, got)
		}
		fatalIf(t, unix.SetNonblock(a, true))
		defer unix.SetNonblock(a, false)
		next(t, r, 1).PrepReadv(a, vectors[:1], 0, 0)
		next(t, r, 2).PrepWritev(b, vectors[1:], 0, 0)
		all := byUserData(t, reap(t, r, 2))
		if all[1].Err() != unix.EAGAIN && all[1].Res != 15 || all[2].Res != 15 {
			t.Errorf("not blocking: %v", all)
		}
	})
}

// TestNonblockingReceiveWaits asks for what there is, by a flag.
func TestNonblockingReceiveWaits(t *testing.T) {
	eachSocket(t, func(t *testing.T, r *uring.Ring, a, b int) {
		p := pinnedBytes(t, 8)
		for _, nonblock := range []bool{false, true} {
			fatalIf(t, unix.SetNonblock(a, nonblock))
			c := do(t, r, func(s *uring.SQE) { s.PrepRecv(a, p, unix.MSG_DONTWAIT) })
			wantErr(t, "recv with MSG_DONTWAIT", c.Err(), unix.EAGAIN)
			vector := pin(t, new(unix.Iovec))
			*vector = iovec(p)
			message := pin(t, &unix.Msghdr{Iov: vector})
			message.SetIovlen(1)
			c = do(t, r, func(s *uring.SQE) { s.PrepRecvmsg(a, message, unix.MSG_DONTWAIT) })
			wantErr(t, "recvmsg with MSG_DONTWAIT", c.Err(), unix.EAGAIN)
		}
		write(t, b, "x")
		next(t, r, 1).PrepPollAdd(a, unix.POLLIN, false)
		sequence(t, r, 1)
		if n := must(t, r, func(s *uring.SQE) { s.PrepRecv(a, p, unix.MSG_DONTWAIT) }); n != 1 {
			t.Errorf("recv: %d", n)
		}
	})
}

// TestPollFirstTriesFirst: with data there both ways are the same.
func TestPollFirstTriesFirst(t *testing.T) {
	eachSocket(t, func(t *testing.T, r *uring.Ring, a, b int) {
		since(t, r, "poll first", uring.OpSocket)
		p := pinnedBytes(t, 8)
		recv := func(s *uring.SQE) { s.PrepRecv(a, p, 0); s.Ioprio = uring.RecvSendPollFirst }
		write(t, b, "ready")
		if n := must(t, r, recv); string(p[:n]) != "ready" {
			t.Errorf("ready: %q", p[:n])
		}
		recv(next(t, r, 1))
		submit(t, r)
		quiet(t, r, "there is no data")
		must(t, r, func(s *uring.SQE) { s.PrepSend(b, pinnedText(t, "late"), 0); s.Ioprio = uring.RecvSendPollFirst })
		if c := sequence(t, r, 1)[0]; string(p[:max(c.Res, 0)]) != "late" {
			t.Errorf("late: %+v", c)
		}
	})
}

// TestWaitAllReturnsPart asks for all of a stream that comes in pieces, by each
// call, and for all of a datagram that is smaller.
func TestWaitAllReturnsPart(t *testing.T) {
	eachSocket(t, func(t *testing.T, r *uring.Ring, a, b int) {
		since(t, r, "waiting for all", uring.OpSocket)
		p := pinnedBytes(t, 12)
		vectors := []unix.Iovec{iovec(p[:5]), iovec(p[5:])}
		pin(t, &vectors[0])
		message := pin(t, &unix.Msghdr{Iov: &vectors[0]})
		message.SetIovlen(2)
		for name, prepare := range map[string]func(s *uring.SQE){
			"recv":    func(s *uring.SQE) { s.PrepRecv(a, p, unix.MSG_WAITALL) },
			"recvmsg": func(s *uring.SQE) { s.PrepRecvmsg(a, message, unix.MSG_WAITALL) },
		} {
			clear(p)
			prepare(next(t, r, 1))
			submit(t, r)
			for _, piece := range []string{"one ", "two ", "four"} {
				quiet(t, r, name+" got a part only")
				write(t, b, piece)
			}
			if c := sequence(t, r, 1)[0]; c.Res != 12 || string(p) != "one two four" {
				t.Errorf("%s: %+v, %q", name, c, p)
			}
		}
		// The end of the stream ends it as well.
		next(t, r, 1).PrepRecv(a, p, unix.MSG_WAITALL)
		submit(t, r)
		write(t, b, "end")
		quiet(t, r, "got a part only")
		fatalIf(t, unix.Shutdown(b, unix.SHUT_WR))
		if c := sequence(t, r, 1)[0]; string(p[:max(c.Res, 0)]) != "end" {
			t.Errorf("at the end: %+v, %q", c, p)
		}
	})
	r := newRing(t, 8, uring.Config{})
	a, b := datagramPair(t)
	p := pinnedBytes(t, 12)
	next(t, r, 1).PrepRecv(a, p, unix.MSG_WAITALL)
	submit(t, r)
	write(t, b, "short")
	if c := sequence(t, r, 1)[0]; string(p[:max(c.Res, 0)]) != "short" {
		t.Errorf("a datagram: %+v", c)
	}
}

// TestBlockedSendLosesVectors sends a message that does not fit the socket's
// memory, of more vectors than the kernel keeps inline, and frees the vectors.
func TestBlockedSendLosesVectors(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "waiting for all", uring.OpSocket)
	client, server := tcpPair(t)
	const pieces, size = 64, 1 << 16
	data := anonymous(t, pieces*size)
	copy(data, pattern(len(data)))
	var pinner runtime.Pinner
	func() {
		vectors := make([]unix.Iovec, pieces)
		for i := range vectors {
			vectors[i] = iovec(data[i*size : (i+1)*size])
		}
		message := &unix.Msghdr{Iov: &vectors[0]}
		message.SetIovlen(pieces)
		pinner.Pin(message)
		pinner.Pin(&vectors[0])
		next(t, r, 1).PrepSendmsg(client, message, unix.MSG_WAITALL)
		submit(t, r)
		pinner.Unpin() // both are free from here on
		*message = unix.Msghdr{}
		clear(vectors)
	}()
	quiet(t, r, "nobody reads")
	got := pinnedBytes(t, len(data))
	next(t, r, 2).PrepRecv(server, got, unix.MSG_WAITALL)
	all := byUserData(t, reap(t, r, 2))
	if int(all[1].Res) != len(data) || int(all[2].Res) != len(data) || !bytes.Equal(got, data) {
		t.Errorf("%v of %d bytes, the same: %v", all, len(data), bytes.Equal(got, data))
	}
}

// TestShutDownSocketStillMoves writes to and reads from a socket that was shut
// down, through the ring and before.
func TestShutDownSocketStillMoves(t *testing.T) {
	eachSocket(t, func(t *testing.T, r *uring.Ring, a, b int) {
		needOps(t, r, uring.OpShutdown)
		next(t, r, 1).PrepRecv(b, pinnedBytes(t, 4), 0)
		submit(t, r)
		next(t, r, 2).PrepShutdown(a, unix.SHUT_RDWR)
		if all := byUserData(t, reap(t, r, 2)); all[1].Res != 0 || all[2].Err() != nil {
			t.Errorf("the other side's receive, and the shutdown: %v", all)
		}
		vector := []unix.Iovec{iovec(pinnedText(t, "x"))}
		pin(t, &vector[0])
		c := do(t, r, func(s *uring.SQE) { s.PrepWritev(a, vector, 0, 0) })
		wantErr(t, "writev", c.Err(), unix.EPIPE)
		c = do(t, r, func(s *uring.SQE) { s.PrepSend(a, pinnedText(t, "x"), unix.MSG_NOSIGNAL) })
		wantErr(t, "send", c.Err(), unix.EPIPE)
		c = do(t, r, func(s *uring.SQE) { s.PrepShutdown(eventfd(t, 0), unix.SHUT_RD) })
		wantErr(t, "of what is no socket", c.Err(), unix.ENOTSOCK)
	})
}

// TestConnectAnswersWrong connects where nobody listens, again and again, where
// somebody does, and twice.
func TestConnectAnswersWrong(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		listener, port := tcpListener(t, 0)
		const size = uint32(unsafe.Sizeof(unix.RawSockaddrInet4{}))
		connect := func(fd int, flags uring.SQEFlags) error {
			return do(t, r, func(s *uring.SQE) { s.PrepConnect(fd, sockaddr4(t, port), size); s.Flags |= flags }).Err()
		}
		for _, flags := range []uring.SQEFlags{0, uring.SQEAsync} {
			fd := tcpSocket(t)
			fatalIf(t, connect(fd, flags))
			wantErr(t, "connecting again", connect(fd, flags), unix.EISCONN)
		}
		fatalIf(t, unix.Shutdown(listener, unix.SHUT_RDWR)) // nobody listens on the port now
		for _, flags := range []uring.SQEFlags{0, uring.SQEAsync} {
			fd := tcpSocket(t)
			for range 3 {
				wantErr(t, "a port without listener", connect(fd, flags), unix.ECONNREFUSED)
			}
		}
		c := do(t, r, func(s *uring.SQE) { s.PrepConnect(eventfd(t, 0), sockaddr4(t, port), size) })
		wantErr(t, "what is no socket", c.Err(), unix.ENOTSOCK)
	})
}

// TestSocketGetsWrongKind makes sockets through the ring, by number and in the
// table, and asks them what they are.
func TestSocketGetsWrongKind(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needOps(t, r, uring.OpSocket)
		fd := closeLater(t, must(t, r, func(s *uring.SQE) {
			s.PrepSocket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		}))
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		flags, err2 := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		cloexec, err3 := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if kind != unix.SOCK_DGRAM || flags&unix.O_NONBLOCK == 0 || cloexec != unix.FD_CLOEXEC {
			t.Errorf("type %d, flags %#x and %#x, %v %v %v", kind, flags, cloexec, err, err2, err3)
		}
		bad := do(t, r, func(s *uring.SQE) { s.PrepSocket(-1, unix.SOCK_STREAM, 0) })
		wantErr(t, "an unknown family", bad.Err(), unix.EAFNOSUPPORT)
		fatalIf(t, r.RegisterFilesSparse(4))
		must(t, r, func(s *uring.SQE) { s.PrepSocket(unix.AF_UNIX, unix.SOCK_STREAM, 0); s.Direct(2) })
		c := do(t, r, func(s *uring.SQE) { s.PrepRecv(2, pinnedBytes(t, 1), 0); fixed(s) })
		if c.Err() != unix.ENOTCONN && c.Err() != unix.EINVAL {
			t.Errorf("the socket in the table: %+v", c)
		}
		if index := must(t, r, func(s *uring.SQE) { s.PrepSocket(unix.AF_UNIX, unix.SOCK_STREAM, 0); s.DirectAny() }); index == 2 || index > 3 {
			t.Errorf("the kernel chose index %d", index)
		}
		bad = do(t, r, func(s *uring.SQE) { s.PrepSocket(unix.AF_UNIX, unix.SOCK_STREAM, 0); s.Direct(4) })
		wantErr(t, "outside of the table", bad.Err(), unix.EINVAL)
	})
}

// TestSocketQueuesAreMiscounted asks a socket what it has to be read and sent.
func TestSocketQueuesAreMiscounted(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "socket commands", uring.OpWaitid)
	client, server := tcpPair(t)
	write(t, client, "123456")
	must(t, r, func(s *uring.SQE) { s.PrepPollAdd(server, unix.POLLIN, false) })
	if n := must(t, r, func(s *uring.SQE) { s.PrepCommand(server, uring.SocketInq) }); n != 6 {
		t.Errorf("%d bytes to be read, want 6", n)
	}
	// Nobody reads: some of it stays with the sender.
	fatalIf(t, unix.SetNonblock(client, true))
	for big := make([]byte, 1<<16); ; {
		if _, err := unix.Write(client, big); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepCommand(client, uring.SocketOutq) }); n == 0 {
		t.Error("nothing waits to be sent")
	}
	c := do(t, r, func(s *uring.SQE) { s.PrepCommand(client, 4711) })
	wantErr(t, "an unknown command", c.Err(), unix.EOPNOTSUPP)
	value := pinnedBytes(t, 4)
	c = do(t, r, func(s *uring.SQE) {
		s.PrepSocketOption(uring.SocketGetOption, client, unix.SOL_SOCKET, 4711, value)
	})
	wantErr(t, "an unknown option", c.Err(), unix.ENOPROTOOPT)
}

// TestDescriptorGoesWithMessage passes a descriptor over a socket, by the ring.
func TestDescriptorGoesWithMessage(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		a, b := socketPair(t)
		f := openFile(t, "passed on")
		message := func(control []byte) *unix.Msghdr {
			vector := pin(t, new(unix.Iovec))
			*vector = iovec(pinnedText(t, "x"))
			m := pin(t, &unix.Msghdr{Iov: vector, Control: &control[0]})
			m.SetIovlen(1)
			m.SetControllen(len(control))
			return m
		}
		rights := unix.UnixRights(int(f.Fd()))
		pin(t, &rights[0])
		space := pinnedBytes(t, 256)
		in := message(space)
		next(t, r, 1).PrepRecvmsg(b, in, unix.MSG_CMSG_CLOEXEC)
		next(t, r, 2).PrepSendmsg(a, message(rights), 0)
		if all := byUserData(t, reap(t, r, 2)); all[1].Res != 1 || all[2].Res != 1 {
			t.Fatalf("completions: %v", all)
		}
		control, err := unix.ParseSocketControlMessage(space[:in.Controllen])
		fatalIf(t, err)
		fds, err := unix.ParseUnixRights(&control[0])
		fatalIf(t, err)
		var p [16]byte
		n, err := unix.Pread(fds[0], p[:], 0)
		if string(p[:max(n, 0)]) != "passed on" {
			t.Errorf("the descriptor reads %q, %v", p, err)
		}
		fatalIf(t, unix.Close(fds[0]))
	})
}

// TestDatagramGoesToTheWrongPeer sends to addresses, by each call.
func TestDatagramGoesToTheWrongPeer(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	udp := func() (fd int, port uint16) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		fatalIf(t, err)
		closeLater(t, fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			skipKernel(t, "no loopback network: %v", err)
		}
		name, err := unix.Getsockname(fd)
		fatalIf(t, err)
		return fd, uint16(name.(*unix.SockaddrInet4).Port)
	}
	sender, from := udp()
	const size = uint16(unsafe.Sizeof(unix.RawSockaddrInet4{}))
	for i := range 3 {
		receiver, port := udp()
		text := pinnedText(t, "to number "+string(rune('0'+i)))
		vector := pin(t, new(unix.Iovec))
		*vector = iovec(text)
		address := sockaddr4(t, port)
		message := pin(t, &unix.Msghdr{Iov: vector, Name: (*byte)(address), Namelen: uint32(size)})
		message.SetIovlen(1)
		switch i {
		case 0:
			must(t, r, func(s *uring.SQE) { s.PrepSendmsg(sender, message, 0) })
		case 1:
			since(t, r, "a send to an address", uring.OpSendmsgZC)
			must(t, r, func(s *uring.SQE) { s.PrepSend(sender, text, 0); s.SendTo(address, size) })
		case 2:
			s := next(t, r, target)
			s.PrepSendZC(sender, text, 0)
			s.SendTo(address, size)
			for _, c := range zeroCopyEnd(t, r, target) {
				if !c.Notification() && int(c.Res) != len(text) {
					t.Errorf("zero copy: %+v", c)
				}
			}
		}
		got, who := pinnedBytes(t, 32), pin(t, new(unix.RawSockaddrInet4))
		*vector = iovec(got)
		message.Name = (*byte)(unsafe.Pointer(who))
		n := must(t, r, func(s *uring.SQE) { s.PrepRecvmsg(receiver, message, 0) })
		if string(got[:n]) != string(text) || who.Port != from<<8|from>>8 || message.Namelen != uint32(size) {
			t.Errorf("received %q from %+v", got[:n], who)
		}
	}
}

// zeroCopyEnd reaps until a zero-copy send is over.
func zeroCopyEnd(t *testing.T, r *uring.Ring, userData uint64) (all []uring.CQE) {
	t.Helper()
	for !terminal(all, userData) {
		all = append(all, reap(t, r, 1)...)
	}
	return all
}

// TestZeroCopySendReadsMemoryTooLate sends a registered buffer, unregisters it
// and only then reads on the other side.
func TestZeroCopySendReadsMemoryTooLate(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		// Before 6.13 unregistering waits for the notification, and on 6.1 for
		// ever if that needs this thread.
		needFeature(t, r, uring.FeatRWAttr)
		client, server := tcpPair(t)
		const size = 1 << 16
		data := anonymous(t, size)
		copy(data, pattern(size))
		fatalIf(t, r.RegisterBuffers([][]byte{data}))
		s := next(t, r, target)
		s.PrepSendZC(client, data[100:], unix.MSG_WAITALL)
		s.Ioprio, s.BufIndex = uring.RecvSendFixedBuf, 0
		first := reap(t, r, 1)[0]
		if int(first.Res) != size-100 || !first.More() {
			t.Fatalf("the result is %+v", first)
		}
		fatalIf(t, r.UnregisterBuffers())
		got := pinnedBytes(t, size-100)
		next(t, r, 1).PrepRecv(server, got, unix.MSG_WAITALL)
		all := byUserData(t, reap(t, r, 2))
		if c := all[target]; !c.Notification() || c.More() || !bytes.Equal(got, data[100:]) {
			t.Errorf("the notification is %+v, the same was received: %v", c, bytes.Equal(got, data[100:]))
		}
		bad := do(t, r, func(s *uring.SQE) {
			s.PrepSendZC(client, data, 0)
			s.Ioprio, s.BufIndex = uring.RecvSendFixedBuf, 7
		})
		wantErr(t, "a buffer that is not registered", bad.Err(), unix.EFAULT)
	})
}

// TestZeroCopyFaultsWithoutNotification sends bad memory and to bad places: one
// terminal completion, or two, but never half of it.
func TestZeroCopyFaultsWithoutNotification(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpSendZC, uring.OpSendmsgZC)
	client, server := tcpPair(t)
	none := anonymous(t, 8192)
	fatalIf(t, unix.Mprotect(none, unix.PROT_NONE))
	for name, prepare := range map[string]func(s *uring.SQE){
		"memory":     func(s *uring.SQE) { s.PrepSendZC(client, none, 0) },
		"descriptor": func(s *uring.SQE) { s.PrepSendZC(-1, pinnedBytes(t, 1), 0) },
		"no socket":  func(s *uring.SQE) { s.PrepSendZC(eventfd(t, 0), pinnedBytes(t, 1), 0) },
		"message":    func(s *uring.SQE) { s.PrepSendmsgZC(client, (*unix.Msghdr)(unsafe.Pointer(&none[0])), 0) },
		"flags":      func(s *uring.SQE) { s.PrepSendZC(client, pinnedBytes(t, 1), 0); s.Ioprio = 1 << 14 },
	} {
		prepare(next(t, r, target))
		all := zeroCopyEnd(t, r, target)
		if all[0].Err() == nil || len(all) > 2 || len(all) == 2 && !all[1].Notification() {
			t.Errorf("%s: %v", name, all)
		}
		quiet(t, r, name)
	}
	// The socket is as before.
	s := next(t, r, target)
	s.PrepSendZC(client, pinnedText(t, "fine"), 0)
	s.Ioprio = uring.SendZCReportUsage
	p := pinnedBytes(t, 4)
	next(t, r, 1).PrepRecv(server, p, unix.MSG_WAITALL)
	all := reap(t, r, 3)
	if string(p) != "fine" || !terminal(all, target) {
		t.Errorf("%v, received %q", all, p)
	}
	for _, c := range all {
		if c.Notification() && c.Res != 0 && uint32(c.Res) != uring.NotifUsageZCCopied {
			t.Errorf("the usage report is %#x", c.Res)
		}
	}
}

// TestClosedSocketKeepsItsRequests closes descriptors that requests use: they go
// on, and the connection ends with the last one.
func TestClosedSocketKeepsItsRequests(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	a, b := socketPair(t)
	in, err := unix.Dup(a)
	fatalIf(t, err)
	p := pinnedBytes(t, 4)
	next(t, r, 1).PrepRecv(in, p, 0)
	submit(t, r)
	must(t, r, func(s *uring.SQE) { s.PrepClose(in) })
	quiet(t, r, "a close ends no request")
	write(t, b, "late")
	if c := sequence(t, r, 1)[0]; string(p[:max(c.Res, 0)]) != "late" {
		t.Errorf("%+v", c)
	}
}

// TestCloseIsDoneLate: when the completion of a close is there, the other side
// sees it.
func TestCloseIsDoneLate(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		for range 20 {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			fatalIf(t, err)
			must(t, r, func(s *uring.SQE) { s.PrepClose(fds[0]) })
			// Not until the next call: the last reference may be a worker's.
			eventually(t, "the other side sees the end", func() bool { return ended(fds[1]) })
			unix.Close(fds[1])
		}
		// While the thread waits for completions, too.
		a, b := socketPair(t)
		other, err := unix.Dup(a)
		fatalIf(t, err)
		fatalIf(t, unix.Dup3(eventfd(t, 0), a, unix.O_CLOEXEC))
		next(t, r, 1).PrepRecv(b, pinnedBytes(t, 1), 0)
		s := next(t, r, 2)
		s.PrepTimeout(timespec(t, 2*time.Millisecond), 0, 0)
		s.Flags |= uring.SQEIOHardlink
		next(t, r, 3).PrepClose(other)
		if all := byUserData(t, reap(t, r, 3)); all[1].Res != 0 || all[3].Err() != nil {
			t.Errorf("completions: %v", all)
		}
	})
}
