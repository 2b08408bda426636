package eddy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// partingPair is a connection whose ends part with their first wait.
func partingPair(t *testing.T, network string) (d *eddy.Driver, client, server *eddy.Conn) {
	t.Helper()
	eddy.PartAtOnce(t)
	d = newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
	client, server = connect(t, d, network)
	return d, client, server
}

// apartPair connects a std client to an eddy server whose reads wait apart.
func apartPair(t *testing.T) (d *eddy.Driver, client net.Conn, server *eddy.Conn) {
	t.Helper()
	eddy.PartAtOnce(t)
	d, client, server = epollPair(t)
	for range 2 { // the first read waits in the loop
		go func() {
			time.Sleep(10 * time.Millisecond)
			client.Write([]byte("x"))
		}()
		mustRead(t, server, "x")
	}
	if n := d.Metrics().Apart; n != 1 {
		t.Fatalf("%d sockets are apart, want 1", n)
	}
	return d, client, server
}

// reading reads in a goroutine, and returns when that waits.
func reading(server *eddy.Conn) <-chan error {
	got := make(chan error, 1)
	go func() {
		n, err := server.Read(make([]byte, 16))
		if n > 0 {
			err = nil
		}
		got <- err
	}()
	time.Sleep(20 * time.Millisecond)
	return got
}

func await(t *testing.T, what string, got <-chan error, want error) {
	t.Helper()
	select {
	case err := <-got:
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	case <-time.After(patience):
		t.Fatalf("%s: still reading", what)
	}
}

// Nobody but whoever rouses it wakes a reader in Go's poller.
func TestApartReaderCannotBeEnded(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(*eddy.Driver, net.Conn, *eddy.Conn)
		want error
	}{
		"past deadline": {func(_ *eddy.Driver, _ net.Conn, c *eddy.Conn) { c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"deadline":      {func(_ *eddy.Driver, _ net.Conn, c *eddy.Conn) { c.SetDeadline(time.Now().Add(20 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"close":         {func(_ *eddy.Driver, _ net.Conn, c *eddy.Conn) { c.Close() }, net.ErrClosed},
		"close read":    {func(_ *eddy.Driver, _ net.Conn, c *eddy.Conn) { c.CloseRead() }, io.EOF},
		"shutdown":      {func(d *eddy.Driver, _ net.Conn, _ *eddy.Conn) { d.Close() }, eddy.ErrShutdown},
		"end":           {func(_ *eddy.Driver, p net.Conn, _ *eddy.Conn) { p.Close() }, io.EOF},
		"reset": {func(_ *eddy.Driver, p net.Conn, _ *eddy.Conn) {
			p.(*net.TCPConn).SetLinger(0)
			p.Close()
		}, unix.ECONNRESET},
		"data": {func(_ *eddy.Driver, p net.Conn, _ *eddy.Conn) { p.Write([]byte("data")) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			d, client, server := apartPair(t)
			got := reading(server)
			end.do(d, client, server)
			await(t, name, got, end.want)
			server.Close()
			wantNoneApart(t, d)
			// The peer is told when the last duplicate is closed, and not by the collector.
			client.SetReadDeadline(time.Now().Add(patience))
			if _, err := client.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
				t.Errorf("the peer of a closed connection: %v", err)
			}
		})
	}
}

func TestApartReaderSpins(t *testing.T) {
	checkLeaks(t)
	_, client, server := apartPair(t)
	got := reading(server)
	wantAsleep(t)
	mustWrite(t, client, []byte("x"))
	await(t, "the read", got, nil)
}

// wantNoneApart is for the time when all are closed.
func wantNoneApart(t *testing.T, d *eddy.Driver) {
	t.Helper()
	if n := d.Metrics().Apart; n != 0 {
		t.Errorf("%d sockets are apart after all are closed", n)
	}
}

// wantAsleep fails the test if whoever waits takes processor time for it.
func wantAsleep(t *testing.T) {
	t.Helper()
	begun := processorTime(t)
	time.Sleep(300 * time.Millisecond)
	if used := processorTime(t) - begun; used > 150*time.Millisecond {
		t.Errorf("%v of processor time in 300 ms of waiting", used)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestContextDoesNotEndAnApartRead(t *testing.T) {
	checkLeaks(t)
	_, client, server := apartPair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	within(t, patience, "a read with a context that ends", func() {
		if _, err := server.ReadContext(ctx, make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read: %v, want the context's error", err)
		}
	})
	got := reading(server)
	client.Write([]byte("x"))
	await(t, "the read after it", got, nil)
}

// What rouses a reader from Go's poller stays set there.
func TestDeadlineOfAnApartReadEndsTheNext(t *testing.T) {
	checkLeaks(t)
	d, client, server := apartPair(t)
	for range 3 {
		server.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		await(t, "a read with a deadline", reading(server), os.ErrDeadlineExceeded)
		server.SetReadDeadline(time.Time{})
		got := reading(server)
		select {
		case err := <-got:
			t.Fatalf("read without a deadline: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		client.Write([]byte("x"))
		await(t, "a read without a deadline", got, nil)
	}
	if n := d.Metrics().Apart; n != 1 {
		t.Errorf("%d sockets are apart, want 1", n)
	}
}

// The loop is not told of an apart socket's data, whoever waits for it.
func TestApartSocketsOtherCallsWaitForEver(t *testing.T) {
	checkLeaks(t)
	defer dropPipes(t)()
	t.Run("RawConn.Read", func(t *testing.T) {
		d, client, server := apartPair(t)
		raw, err := server.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(20 * time.Millisecond)
			client.Write([]byte("late"))
		}()
		p := make([]byte, 16)
		within(t, patience, "RawConn.Read of an apart socket", func() {
			var n int
			err := raw.Read(func(fd uintptr) bool {
				n, err = unix.Read(int(fd), p)
				return err != unix.EAGAIN
			})
			if err != nil || string(p[:max(n, 0)]) != "late" {
				t.Errorf("read %q, %v", p[:max(n, 0)], err)
			}
		})
		if n := d.Metrics().Apart; n != 1 {
			t.Errorf("%d sockets are apart after the call", n)
		}
	})
	t.Run("splice", func(t *testing.T) {
		d, client, server := apartPair(t)
		upstream, back := connect(t, d, "tcp")
		go io.Copy(upstream, io.LimitReader(server, 4))
		go func() {
			time.Sleep(20 * time.Millisecond)
			client.Write([]byte("late"))
		}()
		within(t, patience, "splice from an apart socket", func() { mustRead(t, back, "late") })
	})
}

// A socket that somebody else has made a blocking one cannot be in Go's poller.
func TestBlockingSocketHasNoPlaceApart(t *testing.T) {
	checkLeaks(t)
	d, client, server := partingPair(t, "tcp")
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetNonblock(int(fd), false) })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got := reading(server)
		mustWrite(t, client, []byte("x"))
		await(t, "a read of a blocking socket", got, nil)
	}
	if n := d.Metrics().Apart; n != 0 {
		t.Errorf("%d sockets are apart", n)
	}
}

// Go's poller gives up a descriptor of which it only hears that it has an error,
// such as a message about what has been sent without a copy, msg_zerocopy.
func TestErrorQueueEndsAnApartRead(t *testing.T) {
	checkLeaks(t)
	_, client, server := apartPair(t)
	got := reading(server)
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ZEROCOPY, 1); err == nil {
			err = unix.Sendto(int(fd), make([]byte, 1<<16), unix.MSG_ZEROCOPY|unix.MSG_DONTWAIT, nil)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		t.Fatalf("read: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	for range 2 {
		mustWrite(t, client, []byte("x"))
		await(t, "a read after a message in the error queue", got, nil)
		got = reading(server)
	}
	server.Close()
	<-got
}

// An error is told by the first read that finds it, and by no other: whoever only
// looks whether there is something would make a reset look like an orderly end.
func TestResetBeforeTheWaitLooksLikeTheEnd(t *testing.T) {
	checkLeaks(t)
	for range 30 {
		_, client, server := apartPair(t)
		mustWrite(t, client, []byte("x"))
		mustRead(t, server, "x") // short: nothing is known to be left
		client.(*net.TCPConn).SetLinger(0)
		client.Close()
		if _, err := server.Read(make([]byte, 16)); !errors.Is(err, unix.ECONNRESET) {
			t.Fatalf("read: %v, want ECONNRESET", err)
		}
		server.Close()
	}
}

func TestResetOfASoloConnectionLooksLikeTheEnd(t *testing.T) {
	checkLeaks(t)
	for range 10 {
		_, client, server := soloPair(t)
		client.(*net.TCPConn).SetLinger(0)
		client.Close()
		if _, err := server.Read(make([]byte, 16)); !errors.Is(err, unix.ECONNRESET) {
			t.Fatalf("read: %v, want ECONNRESET", err)
		}
	}
}

func TestResetSeenByALookLooksLikeTheEnd(t *testing.T) {
	checkLeaks(t)
	d := newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
	defer d.Close()
	for range 30 {
		client, server := connect(t, d, "tcp")
		mustWrite(t, client, []byte("x"))
		mustRead(t, server, "x")
		client.SetLinger(0)
		client.Close()
		if found, err := eddy.LookAgain(server); !found || !errors.Is(err, unix.ECONNRESET) {
			t.Fatalf("a look: found %v, %v; want ECONNRESET", found, err)
		}
		server.Close()
	}
}

// A user who peeks moves where the next peek begins.
func TestPeekOffsetHidesData(t *testing.T) {
	checkLeaks(t)
	_, client, server := partingPair(t, "unix")
	for range 2 {
		got := reading(server)
		mustWrite(t, client, []byte("x"))
		await(t, "read", got, nil)
	}
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, client, []byte("hello"))
	raw.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEEK_OFF, 0); err == nil {
			_, _, err = unix.Recvfrom(int(fd), make([]byte, 16), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, patience, "a read of what was peeked at", func() { mustRead(t, server, "hello") })
}

// Data that are there without a wait count towards the share after which a reader
// lets others run.
func TestGreedyApartReaderNeverYields(t *testing.T) {
	checkLeaks(t)
	_, client, server := apartPair(t)
	p, yields, last := make([]byte, 16), 0, 0
	for range 3000 {
		mustWrite(t, client, []byte("x"))
		if n, err := server.Read(p); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		now := eddy.Taken(server)
		if now < last && now == 0 {
			yields++
		}
		last = now
	}
	if yields == 0 {
		t.Errorf("%d bytes' worth of reads, without a sleep, and none has let others run", last)
	}
}

// The readers of a driver that is shut down are not to wait for what the kernel
// keeps of its files.
func TestShutdownLeavesApartReadersWaiting(t *testing.T) {
	checkLeaks(t)
	d, client, server := apartPair(t)
	got := reading(server)
	eddy.EndAparts(d)
	for begun := time.Now(); d.Metrics().Apart > 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatal("a reader is still apart from its loop, whose end would wake it")
		}
	}
	mustWrite(t, client, []byte("x"))
	await(t, "the read", got, nil)
	got = reading(server)
	if n := d.Metrics().Apart; n != 0 {
		t.Errorf("%d sockets have parted since", n)
	}
	d.Close()
	await(t, "a read at the end", got, eddy.ErrShutdown)
}
