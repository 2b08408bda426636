package uring_test

import (
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// loopback is 127.0.0.1 with a port in network order.
func loopback(t *testing.T, port uint16) *unix.RawSockaddrInet4 {
	return pin(t, &unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

// connection makes both ends of a TCP connection, all of it on the ring.
func connection(t *testing.T, r *uring.Ring) (client, server int) {
	t.Helper()
	needOps(t, r, uring.OpSocket, uring.OpBind, uring.OpListen)
	socket := func() int {
		fd := must(t, r, func(s *uring.SQE) { s.PrepSocket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP) })
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	listener := socket()
	must(t, r, func(s *uring.SQE) { s.PrepBind(listener, unsafe.Pointer(loopback(t, 0)), unix.SizeofSockaddrInet4) })
	must(t, r, func(s *uring.SQE) { s.PrepListen(listener, 4) })
	name, err := unix.Getsockname(listener)
	fatalIf(t, err)
	port := uint16(name.(*unix.SockaddrInet4).Port)
	client = socket()
	from, size := pin(t, new(unix.RawSockaddrAny)), pin(t, new(uint32))
	*size = unix.SizeofSockaddrAny
	next(t, r, 1).PrepAccept(listener, from, size, unix.SOCK_CLOEXEC, false)
	next(t, r, 2).PrepConnect(client, unsafe.Pointer(loopback(t, port<<8|port>>8)), unix.SizeofSockaddrInet4)
	all := byUserData(t, reap(t, r, 2))
	if all[1].Err() != nil || all[2].Err() != nil {
		t.Fatalf("accept and connect: %v", all)
	}
	if from.Addr.Family != unix.AF_INET || *size != unix.SizeofSockaddrInet4 {
		t.Errorf("accept tells an address of family %d, size %d", from.Addr.Family, *size)
	}
	server = int(all[1].Res)
	t.Cleanup(func() { unix.Close(server) })
	return client, server
}

func TestSocketOperationDoesNotDoItsWork(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	client, server := connection(t, r)
	p := pinnedBytes(t, 8)
	if n := must(t, r, func(s *uring.SQE) { s.PrepSend(client, pinnedText(t, "hello"), 0) }); n != 5 {
		t.Errorf("send: %d", n)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepRecv(server, p, unix.MSG_PEEK) }); string(p[:n]) != "hello" {
		t.Errorf("recv that peeks: %q", p[:n])
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepRecv(server, p[:3], 0) }); string(p[:n]) != "hel" {
		t.Errorf("recv: %q", p[:n])
	}
	vector := pin(t, new(unix.Iovec))
	*vector = iovec(p)
	message := pin(t, &unix.Msghdr{Iov: vector})
	message.SetIovlen(1)
	if n := must(t, r, func(s *uring.SQE) { s.PrepRecvmsg(server, message, 0) }); string(p[:n]) != "lo" {
		t.Errorf("recvmsg: %q", p[:n])
	}
	copy(p, "12345678")
	if n := must(t, r, func(s *uring.SQE) { s.PrepSendmsg(server, message, 0) }); n != 8 {
		t.Errorf("sendmsg: %d", n)
	}
	clear(p)
	if n := must(t, r, func(s *uring.SQE) { s.PrepRecv(client, p, unix.MSG_WAITALL) }); string(p[:n]) != "12345678" {
		t.Errorf("recv of the message: %q", p[:n])
	}
	must(t, r, func(s *uring.SQE) { s.PrepShutdown(client, unix.SHUT_WR) })
	if n := must(t, r, func(s *uring.SQE) { s.PrepRecv(server, p, 0) }); n != 0 {
		t.Errorf("recv after shutdown: %d", n)
	}
}

func TestZeroCopySendNeverGivesMemoryBack(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpSendZC, uring.OpSendmsgZC)
	client, server := connection(t, r)
	data := pinnedText(t, strings.Repeat("zero copy ", 1000))
	vector := pin(t, new(unix.Iovec))
	*vector = iovec(data)
	message := pin(t, &unix.Msghdr{Iov: vector})
	message.SetIovlen(1)
	for name, prepare := range map[string]func(s *uring.SQE){
		"send":    func(s *uring.SQE) { s.PrepSendZC(client, data, unix.MSG_WAITALL) },
		"sendmsg": func(s *uring.SQE) { s.PrepSendmsgZC(client, message, unix.MSG_WAITALL) },
	} {
		prepare(next(t, r, target))
		first := reap(t, r, 1)[0]
		if first.Res != int32(len(data)) || !first.More() || first.Notification() {
			t.Fatalf("%s: the first completion is %+v", name, first)
		}
		p := pinnedBytes(t, len(data))
		next(t, r, 1).PrepRecv(server, p, unix.MSG_WAITALL)
		all := byUserData(t, reap(t, r, 2))
		if c := all[target]; c.More() || !c.Notification() || string(p) != string(data) {
			t.Errorf("%s: the notification is %+v, received what was sent: %v", name, c, string(p) == string(data))
		}
	}
}

func TestMultishotAcceptStops(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	listener, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	fatalIf(t, err)
	defer unix.Close(listener)
	name := &unix.SockaddrUnix{Name: t.TempDir() + "/s"}
	fatalIf(t, unix.Bind(listener, name))
	fatalIf(t, unix.Listen(listener, 8))
	next(t, r, target).PrepAccept(listener, nil, nil, unix.SOCK_CLOEXEC, true)
	submit(t, r)
	for range 3 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		fatalIf(t, err)
		fatalIf(t, unix.Connect(fd, name))
		c := reap(t, r, 1)[0]
		if c.Err() == unix.EINVAL {
			skipKernel(t, "no multishot accept")
		}
		if c.Err() != nil || !c.More() {
			t.Fatalf("accept: %+v", c)
		}
		write(t, int(c.Res), "x") // it is a connected socket
		unix.Close(int(c.Res))
		unix.Close(fd)
	}
	next(t, r, 1).PrepCancel(target, 0)
	if all := byUserData(t, reap(t, r, 2)); all[target].Err() != unix.ECANCELED || all[target].More() {
		t.Errorf("after the cancel: %v", all)
	}
}

func TestEpollOperationMissesEvents(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	fatalIf(t, err)
	defer unix.Close(epfd)
	in, out := pipe(t)
	event := pin(t, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 1234})
	must(t, r, func(s *uring.SQE) { s.PrepEpollCtl(epfd, unix.EPOLL_CTL_ADD, in, event) })
	write(t, out, "x")
	var events [4]unix.EpollEvent
	if n, err := unix.EpollWait(epfd, events[:], 0); n != 1 || events[0].Fd != 1234 {
		t.Errorf("epoll_wait = %d, %v, %+v", n, err, events[0])
	}
	needOps(t, r, uring.OpEpollWait)
	heap := make([]unix.EpollEvent, 4)
	pin(t, &heap[0])
	if n := must(t, r, func(s *uring.SQE) { s.PrepEpollWait(epfd, heap) }); n != 1 || heap[0].Fd != 1234 {
		t.Errorf("on the ring: %d, %+v", n, heap[0])
	}
}

func TestSocketOptionMissesItsField(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "socket commands", uring.OpWaitid)
	a, b := socketPair(t)
	value := pinnedBytes(t, 4)
	n := must(t, r, func(s *uring.SQE) {
		s.PrepSocketOption(uring.SocketGetOption, a, unix.SOL_SOCKET, unix.SO_TYPE, value)
	})
	if n != 4 || *(*int32)(unsafe.Pointer(&value[0])) != unix.SOCK_STREAM {
		t.Errorf("SO_TYPE: %d bytes, %v", n, value)
	}
	*(*int32)(unsafe.Pointer(&value[0])) = 1
	must(t, r, func(s *uring.SQE) {
		s.PrepSocketOption(uring.SocketSetOption, a, unix.SOL_SOCKET, unix.SO_PASSCRED, value)
	})
	if on, err := unix.GetsockoptInt(a, unix.SOL_SOCKET, unix.SO_PASSCRED); on != 1 {
		t.Errorf("SO_PASSCRED is %d, %v", on, err)
	}
	client, server := connection(t, r)
	write(t, server, "12345")
	must(t, r, func(s *uring.SQE) { s.PrepPollAdd(client, unix.POLLIN, false) })
	if n := must(t, r, func(s *uring.SQE) { s.PrepCommand(client, uring.SocketInq) }); n != 5 {
		t.Errorf("%d bytes to be read, want 5", n)
	}
	_ = b
}

func init() { children["exits with 3"] = func() { os.Exit(3) } }

func TestWaitidMissesChild(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpWaitid)
	child := child(t, "exits with 3")
	fatalIf(t, child.Start())
	info := pin(t, new(unix.Siginfo))
	must(t, r, func(s *uring.SQE) {
		s.PrepWaitid(unix.P_PID, child.Process.Pid, info, unix.WEXITED|unix.WNOWAIT)
	})
	if info.Signo != int32(unix.SIGCHLD) {
		t.Errorf("signal number %d", info.Signo)
	}
	if err := child.Wait(); child.ProcessState.ExitCode() != 3 {
		t.Errorf("the child ended with %v", err)
	}
}
