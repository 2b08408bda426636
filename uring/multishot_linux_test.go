package uring_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// TestAcceptTellsWrongPeer accepts in each way: by number, in the table, blocking
// and not, with and without address, and sends over the result.
func TestAcceptTellsWrongPeer(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		listener, port := tcpListener(t, unix.SOCK_NONBLOCK)
		from, size := pin(t, new(unix.RawSockaddrAny)), pin(t, new(uint32))
		accept := func(s *uring.SQE, flags uint32) {
			*size = unix.SizeofSockaddrAny
			s.PrepAccept(listener, from, size, flags, false)
		}
		// Not blocking, with nobody there: EAGAIN, or it is the ring that waits.
		sqe := next(t, r, 2)
		accept(sqe, 0)
		linked(sqe)
		next(t, r, 1).PrepLinkTimeout(timespec(t, 2e6), 0)
		if c := byUserData(t, reap(t, r, 2))[2]; c.Err() != unix.EAGAIN && c.Err() != unix.ECANCELED {
			t.Errorf("nobody there: %+v", c)
		}
		for _, direct := range []bool{false, true} {
			if direct {
				since(t, r, "accepting without a descriptor", uring.OpLinkat)
				fatalIf(t, r.RegisterFilesSparse(2))
			}
			client := dial(t, port)
			mine, err := unix.Getsockname(client)
			fatalIf(t, err)
			got := must(t, r, func(s *uring.SQE) {
				if accept(s, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); direct {
					accept(s, unix.SOCK_NONBLOCK)
					s.Direct(1)
				}
			})
			peer := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
			if want := uint16(mine.(*unix.SockaddrInet4).Port); *size != unix.SizeofSockaddrInet4 || peer.Port != want<<8|want>>8 {
				t.Errorf("the peer has port %#x and size %d, want port %#x", peer.Port, *size, want)
			}
			send := func(s *uring.SQE) { s.PrepSend(got, pinnedText(t, "welcome"), 0) }
			if direct {
				send = func(s *uring.SQE) { s.PrepSend(1, pinnedText(t, "welcome"), 0); fixed(s) }
			} else {
				closeLater(t, got)
				if flags, err := unix.FcntlInt(uintptr(got), unix.F_GETFL, 0); flags&unix.O_NONBLOCK == 0 {
					t.Errorf("the socket's flags are %#x, %v", flags, err)
				}
			}
			must(t, r, send)
			var p [8]byte
			if n, err := unix.Read(client, p[:]); string(p[:max(n, 0)]) != "welcome" {
				t.Errorf("received %q, %v", p, err)
			}
		}
	})
}

// TestAcceptTellsOfWaitingConnections: the flag says that more are there.
func TestAcceptTellsOfWaitingConnections(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needFeature(t, r, uring.FeatRecvsendBundle) // kernel 6.10
	listener, port := tcpListener(t, 0)
	dial(t, port)
	dial(t, port)
	for i, want := range []uint32{uring.CQEFSockNonempty, 0} {
		c := do(t, r, func(s *uring.SQE) { s.PrepAccept(listener, nil, nil, unix.SOCK_CLOEXEC, false) })
		if c.Err() != nil || c.Flags&uring.CQEFSockNonempty != want {
			t.Errorf("accept %d: %+v", i, c)
		}
		closeLater(t, int(c.Res))
	}
	c := do(t, r, func(s *uring.SQE) {
		s.PrepAccept(listener, nil, nil, 0, false)
		s.Ioprio = uring.AcceptDontwait
	})
	wantErr(t, "with AcceptDontwait", c.Err(), unix.EAGAIN)
}

// TestMultishotAcceptLosesConnections accepts many connections that come at once,
// also into the table until that is full, and asks for what is not allowed.
func TestMultishotAcceptLosesConnections(t *testing.T) {
	eachRing(t, 64, func(t *testing.T, r *uring.Ring) {
		since(t, r, "multishot accept", uring.OpSocket)
		listener, port := tcpListener(t, 0)
		next(t, r, target).PrepAccept(listener, nil, nil, unix.SOCK_CLOEXEC, true)
		submit(t, r)
		const clients = 32
		ports := map[int]bool{}
		for range clients {
			name, err := unix.Getsockname(dial(t, port))
			fatalIf(t, err)
			ports[name.(*unix.SockaddrInet4).Port] = true
		}
		for _, c := range reap(t, r, clients) {
			if c.UserData != target || c.Err() != nil || !c.More() {
				t.Fatalf("%+v", c)
			}
			name, err := unix.Getpeername(closeLater(t, int(c.Res)))
			fatalIf(t, err)
			if peer := name.(*unix.SockaddrInet4).Port; !ports[peer] {
				t.Errorf("a connection from port %d, twice or by nobody", peer)
			} else {
				delete(ports, peer)
			}
		}
		next(t, r, 1).PrepCancel(target, 0)
		reap(t, r, 2)

		fatalIf(t, r.RegisterFilesSparse(2))
		s := next(t, r, target)
		s.PrepAccept(listener, nil, nil, 0, true)
		s.DirectAny()
		submit(t, r)
		for i := range 3 {
			dial(t, port)
			c := sequence(t, r, target)[0]
			if i < 2 && (int(c.Res) != i || !c.More()) || i == 2 && (c.Err() != unix.ENFILE || c.More()) {
				t.Fatalf("accept %d into a table of 2: %+v", i, c)
			}
		}
		c := do(t, r, func(s *uring.SQE) { s.PrepAccept(listener, nil, nil, 0, true); s.Direct(1) })
		wantErr(t, "again and again at one index", c.Err(), unix.EINVAL)
	})
}

// TestMultishotReceiveMixesStreams receives from several sockets into buffers of
// one group until there are none, and goes on when there are.
func TestMultishotReceiveMixesStreams(t *testing.T) {
	eachRing(t, 64, func(t *testing.T, r *uring.Ring) {
		since(t, r, "multishot receive", uring.OpSendZC)
		const streams, size = 4, 64
		b, buffers := bufferGroup(t, r, 8, size, 3, 0)
		var ends [streams][2]int
		var sent, got [streams][]byte
		for i := range ends {
			ends[i][0], ends[i][1] = socketPair(t)
			next(t, r, uint64(i)).PrepRecvSelect(ends[i][0], 3, 0, true)
		}
		submit(t, r)
		for round := range 50 {
			for i := range ends {
				piece := bytes.Repeat([]byte{byte(i*50 + round)}, 1+(i*37+round*53)%(3*size))
				write(t, ends[i][1], string(piece))
				sent[i] = append(sent[i], piece...)
			}
			for complete := 0; complete < streams; {
				c := reap(t, r, 1)[0]
				i := c.UserData
				if id, ok := c.BufferID(); ok {
					if c.Res <= 0 {
						t.Fatalf("a buffer with nothing in it: %+v", c)
					}
					got[i] = append(got[i], buffers[id][:c.Res]...)
					giveBack(b, buffers, id)
				} else if c.Err() != unix.ENOBUFS {
					t.Fatalf("stream %d: %+v", i, c)
				}
				if !c.More() {
					next(t, r, i).PrepRecvSelect(ends[i][0], 3, 0, true)
				}
				complete = 0
				for i := range ends {
					if len(got[i]) >= len(sent[i]) {
						complete++
					}
				}
			}
		}
		for i := range ends {
			if !bytes.Equal(got[i], sent[i]) {
				t.Errorf("stream %d: %d bytes of %d, mixed up", i, len(got[i]), len(sent[i]))
			}
		}
	})
}

// TestMultishotReceiveOutlivesItsBuffers takes the buffers away while data comes.
func TestMultishotReceiveOutlivesItsBuffers(t *testing.T) {
	for _, datagrams := range []bool{false, true} {
		r := newRing(t, 16, uring.Config{})
		since(t, r, "multishot receive", uring.OpSendZC)
		b, buffers := bufferGroup(t, r, 2, 4, 1, 0)
		a, z := socketPair(t)
		if datagrams {
			a, z = datagramPair(t)
		}
		next(t, r, target).PrepRecvSelect(a, 1, 0, true)
		submit(t, r)
		for _, text := range []string{"1111", "2222", "3333"} {
			write(t, z, text)
		}
		all := reap(t, r, 3)
		for i, c := range all {
			id, ok := c.BufferID()
			want := fmt.Sprintf("%d%[1]d%[1]d%[1]d", i+1)
			if i < 2 && (!ok || !c.More() || string(buffers[id][:c.Res]) != want) || i == 2 && (c.Err() != unix.ENOBUFS || c.More()) {
				t.Fatalf("datagrams %v, completion %d: %+v, %q", datagrams, i, c, buffers)
			}
		}
		giveBack(b, buffers, 1)
		next(t, r, target).PrepRecvSelect(a, 1, 0, true)
		submit(t, r)
		c := sequence(t, r, target)[0]
		if id, _ := c.BufferID(); id != 1 || string(buffers[1]) != "3333" {
			t.Errorf("datagrams %v: what was left over: %+v, %q", datagrams, c, buffers[1])
		}
		next(t, r, 1).PrepCancel(target, 0)
		reap(t, r, 2)
	}
}

// TestSendAndShutdownRaceAMultishotReceive has data and the end come together, of
// which some kernels report only the data (PrepRecvSelect). Then the end must be
// there for who looks, and the request for who cancels it.
func TestSendAndShutdownRaceAMultishotReceive(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		since(t, r, "multishot receive", uring.OpSendZC)
		b, buffers := bufferGroup(t, r, 8, 16, 1, 0)
		for range 20 {
			a, z := socketPair(t)
			next(t, r, target).PrepRecvSelect(a, 1, 0, true)
			submit(t, r)
			go func() {
				unix.Write(z, []byte("last words"))
				unix.Shutdown(z, unix.SHUT_WR)
			}()
			data := sequence(t, r, target)[0]
			id, ok := data.BufferID()
			if !ok || !data.More() || string(buffers[id][:data.Res]) != "last words" {
				t.Fatalf("the data came as %+v, %q", data, buffers)
			}
			giveBack(b, buffers, id)
			endOfStream(t, r, a)
		}
	})
}

func endOfStream(t *testing.T, r *uring.Ring, fd int) {
	t.Helper()
	for start := time.Now(); r.Completions() == 0 && time.Since(start) < 200*time.Millisecond; {
		if _, err := r.SubmitAndWait(1, 20*time.Millisecond); err != nil && err != unix.EINTR && err != unix.ETIME {
			t.Fatal(err)
		}
	}
	if r.Completions() != 0 {
		if c := sequence(t, r, target)[0]; c.Res != 0 || c.More() {
			t.Fatalf("the end came as %+v", c)
		}
		return
	}
	eventually(t, "the end", func() bool { return ended(fd) })
	next(t, r, 1).PrepCancel(target, 0)
	if c := byUserData(t, reap(t, r, 2))[target]; c.Err() != unix.ECANCELED && c.Res != 0 || c.More() {
		t.Fatalf("the end was not reported, and the cancelled receive came as %+v", c)
	}
	t.Log("the kernel did not report the end")
}

// TestMultishotMessageHidesSender receives datagrams with their senders and
// control data into provided buffers.
func TestMultishotMessageHidesSender(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "multishot receive", uring.OpSendZC)
	a, z := datagramPair(t)
	fatalIf(t, unix.SetsockoptInt(a, unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
	name := t.TempDir() + "/s"
	fatalIf(t, unix.Bind(z, &unix.SockaddrUnix{Name: name}))
	const room = 120 // of the address
	b, buffers := bufferGroup(t, r, 4, 16+room+64+8, 5, 0)
	message := pin(t, &unix.Msghdr{Namelen: room})
	message.SetControllen(64)
	next(t, r, target).PrepRecvmsgSelect(a, message, 5, unix.MSG_TRUNC, true)
	submit(t, r)
	for _, text := range []string{"short", "just fit", "much too long"} {
		write(t, z, text)
		c := sequence(t, r, target)[0]
		id, ok := c.BufferID()
		if c.Err() != nil || !ok || !c.More() {
			t.Fatalf("%+v", c)
		}
		m, ok := uring.ParseMessage(buffers[id][:min(int(c.Res), len(buffers[id]))], message)
		if !ok || string(m.Payload) != text[:min(8, len(text))] || int(m.PayloadLength) != len(text) ||
			m.Flags&unix.MSG_TRUNC != 0 != (len(text) > 8) {
			t.Errorf("%q: %+v (a message: %v)", text, m, ok)
		}
		if int(m.NameLength) != 2+len(name)+1 || string(m.Name[2:2+len(name)]) != name {
			t.Errorf("the sender is %q, want %q", m.Name, name)
		}
		control, err := unix.ParseSocketControlMessage(m.Control)
		if err != nil || len(control) != 1 || control[0].Header.Type != unix.SCM_CREDENTIALS {
			t.Errorf("the control data is %+v, %v", control, err)
		}
		giveBack(b, buffers, id)
	}
	next(t, r, 1).PrepCancel(target, 0)
	reap(t, r, 2)
	// Once only: the address goes where the message says.
	who := pin(t, new(unix.RawSockaddrUnix))
	message.Name, message.Namelen = (*byte)(unsafe.Pointer(who)), uint32(unsafe.Sizeof(*who))
	message.SetControllen(0)
	write(t, z, "single")
	c := do(t, r, func(s *uring.SQE) { s.PrepRecvmsgSelect(a, message, 5, 0, false) })
	if id, ok := c.BufferID(); !ok || string(buffers[id][:max(c.Res, 0)]) != "single" || who.Family != unix.AF_UNIX {
		t.Errorf("%+v, from family %d", c, who.Family)
	}
}

func TestMessageIsParsedBeyondItsBuffer(t *testing.T) {
	message := &unix.Msghdr{Namelen: 4}
	message.SetControllen(8)
	whole := make([]byte, 16+4+8+3)
	for i := range whole[:16] {
		whole[i] = 0xff // lengths far beyond
	}
	copy(whole[16:], "nameCONTROL!abc")
	for n := range len(whole) + 1 {
		m, ok := uring.ParseMessage(whole[:n], message)
		if ok != (n >= 28) || ok && (string(m.Name) != "name" || string(m.Control) != "CONTROL!" || len(m.Payload) != n-28) {
			t.Errorf("%d bytes: %+v, %v", n, m, ok)
		}
	}
	clear(whole[:16])
	if m, _ := uring.ParseMessage(whole, message); len(m.Name) != 0 || len(m.Control) != 0 || string(m.Payload) != "abc" {
		t.Errorf("without address and control data: %+v", m)
	}
}

// TestMultishotReadLeavesDataBehind reads a pipe that has more than a buffer
// holds, until it is empty.
func TestMultishotReadLeavesDataBehind(t *testing.T) {
	eachRing(t, 8, func(t *testing.T, r *uring.Ring) {
		needOps(t, r, uring.OpReadMultishot)
		b, buffers := bufferGroup(t, r, 16, 4, 2, 0)
		in, out := pipe(t)
		next(t, r, target).PrepReadMultishot(in, 2)
		submit(t, r)
		for round := range 5 {
			text := fmt.Sprintf("round %d has 30 bytes of its own", round)[:30]
			write(t, out, text)
			var got []byte
			for len(got) < len(text) {
				c := sequence(t, r, target)[0]
				id, ok := c.BufferID()
				if c.Err() != nil || !ok || !c.More() {
					t.Fatalf("round %d: %+v after %q", round, c, got)
				}
				got = append(got, buffers[id][:c.Res]...)
				giveBack(b, buffers, id)
			}
			if string(got) != text {
				t.Errorf("read %q, want %q", got, text)
			}
		}
		quiet(t, r, "the pipe is empty")
		next(t, r, 1).PrepCancel(target, 0)
		if all := byUserData(t, reap(t, r, 2)); all[target].More() || all[target].Err() != unix.ECANCELED {
			t.Errorf("after the cancel: %v", all)
		}
		f := openFile(t, "a file cannot be polled")
		c := do(t, r, func(s *uring.SQE) { s.PrepReadMultishot(int(f.Fd()), 2) })
		wantErr(t, "a file", c.Err(), unix.EBADFD)
		c = do(t, r, func(s *uring.SQE) { s.PrepReadMultishot(in, 99) })
		wantErr(t, "no such group", c.Err(), unix.ENOBUFS)
	})
}

// TestMultishotReceiveTakesMoreThanItsLimit limits each receive, and all of them
// together.
func TestMultishotReceiveTakesMoreThanItsLimit(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "limits of multishot receives", uring.OpPipe)
	b, buffers := bufferGroup(t, r, 16, 64, 1, 0)
	a, z := socketPair(t)
	text := string(pattern(40))
	write(t, z, text)
	var got []byte
	receive := func() {
		s := next(t, r, target)
		s.PrepRecvSelect(a, 1, 0, true)
		s.Len, s.FileIndex = 8, 24 // each, and in all: optlen lies where FileIndex does
		submit(t, r)
	}
	receive()
	for len(got) < len(text) {
		c := sequence(t, r, target)[0]
		if c.Err() == unix.EINVAL {
			skipKernel(t, "limits of multishot receives: %v", c.Err())
		}
		id, ok := c.BufferID()
		if !ok || c.Res != 8 {
			t.Fatalf("%+v", c)
		}
		got = append(got, buffers[id][:c.Res]...)
		giveBack(b, buffers, id)
		if ends := len(got) == 24; c.More() == ends {
			t.Fatalf("after %d bytes: %+v", len(got), c)
		}
		if !c.More() {
			receive()
		}
	}
	if string(got) != text {
		t.Errorf("received %q", got)
	}
}

// TestDryBufferRingHangsReads drains a group by single reads, which fail, and
// fills it again.
func TestDryBufferRingHangsReads(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		since(t, r, "buffer rings", uring.OpSocket)
		b, buffers := bufferGroup(t, r, 4, 8, 1, 0)
		f := openFile(t, string(pattern(8*16)))
		read := func(id uint64, off int) {
			s := next(t, r, id)
			s.PrepRead(int(f.Fd()), nil, uint64(off))
			s.Flags |= uring.SQEBufferSelect
			s.BufIndex, s.Len = 1, 8
		}
		for round := range 10 {
			for i := range 6 {
				read(uint64(i), 8*(round+i))
			}
			failed := 0
			seen := map[uint16]bool{}
			for id, c := range byUserData(t, reap(t, r, 6)) {
				buffer, ok := c.BufferID()
				if c.Err() == unix.ENOBUFS {
					failed++
					continue
				}
				at := 8 * (round + int(id))
				if !ok || seen[buffer] || c.Res != 8 || !bytes.Equal(buffers[buffer], pattern(256)[at:at+8]) {
					t.Fatalf("round %d, read %d: %+v, %v", round, id, c, buffers)
				}
				seen[buffer] = true
			}
			if failed != 2 || len(seen) != 4 {
				t.Fatalf("round %d: %d reads failed, want 2", round, failed)
			}
			giveBack(b, buffers, 0, 1, 2, 3)
		}
	})
}

// TestGroupChangesHands makes a group of provided buffers one of a ring, when
// it is empty, and gives a buffer of the old kind back.
func TestGroupChangesHands(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "buffer rings", uring.OpSocket)
	p := pinnedBytes(t, 8)
	a, z := socketPair(t)
	must(t, r, func(s *uring.SQE) { s.PrepProvideBuffers(p, 8, 1, 6, 40) })
	_, err := r.RegisterBufferRing(4, 6, 0)
	wantErr(t, "while it has a buffer", err, unix.EEXIST)
	write(t, z, "old")
	c := do(t, r, func(s *uring.SQE) { s.PrepRecvSelect(a, 6, 0, false) })
	if id, ok := c.BufferID(); !ok || id != 40 || string(p[:3]) != "old" {
		t.Fatalf("%+v, %q", c, p)
	}
	b, err := r.RegisterBufferRing(4, 6, 0)
	orSkip(t, "making an empty group one of a ring", err)
	b.Add(p, 41)
	b.Advance(1)
	write(t, z, "new")
	c = do(t, r, func(s *uring.SQE) { s.PrepRecvSelect(a, 6, 0, false) })
	if id, ok := c.BufferID(); !ok || id != 41 || string(p[:3]) != "new" {
		t.Errorf("%+v, %q", c, p)
	}
	c = do(t, r, func(s *uring.SQE) { s.PrepProvideBuffers(p, 8, 1, 6, 40) })
	wantErr(t, "the old way", c.Err(), unix.EINVAL)
	c = do(t, r, func(s *uring.SQE) { s.PrepRemoveBuffers(1, 6) })
	wantErr(t, "the old way back", c.Err(), unix.EINVAL)
}
