package eddy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// apartPacketConn is a socket of datagrams whose reader waits apart, with another
// one to send to it.
func apartPacketConn(t *testing.T) (d *eddy.Driver, c *eddy.PacketConn, peer net.Conn) {
	t.Helper()
	d = newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
	c, err := d.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if peer, err = net.Dial("udp4", c.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	for range 2 { // the first read waits in the loop
		got := readingFrom(c)
		mustWrite(t, peer, []byte("x"))
		await(t, "a datagram", got, nil)
	}
	if n := d.Metrics().Apart; n != 1 {
		t.Fatalf("%d sockets are apart, want 1", n)
	}
	return d, c, peer
}

// readingFrom is reading for datagrams.
func readingFrom(c *eddy.PacketConn) <-chan error {
	got := make(chan error, 1)
	go func() {
		_, _, err := c.ReadFromUDPAddrPort(make([]byte, 16))
		got <- err
	}()
	time.Sleep(20 * time.Millisecond)
	return got
}

// Nobody but whoever rouses it wakes a reader in Go's poller.
func TestApartDatagramReaderCannotBeEnded(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(*eddy.Driver, net.Conn, *eddy.PacketConn)
		want error
	}{
		"past deadline": {func(_ *eddy.Driver, _ net.Conn, c *eddy.PacketConn) { c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"deadline": {func(_ *eddy.Driver, _ net.Conn, c *eddy.PacketConn) {
			c.SetDeadline(time.Now().Add(20 * time.Millisecond))
		}, os.ErrDeadlineExceeded},
		"close":      {func(_ *eddy.Driver, _ net.Conn, c *eddy.PacketConn) { c.Close() }, net.ErrClosed},
		"shutdown":   {func(d *eddy.Driver, _ net.Conn, _ *eddy.PacketConn) { d.Close() }, eddy.ErrShutdown},
		"a datagram": {func(_ *eddy.Driver, p net.Conn, _ *eddy.PacketConn) { p.Write([]byte("data")) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			d, c, peer := apartPacketConn(t)
			got := readingFrom(c)
			end.do(d, peer, c)
			await(t, name, got, end.want)
			c.Close()
			wantNoneApart(t, d)
		})
	}
}

func TestContextDoesNotEndAnApartDatagramRead(t *testing.T) {
	checkLeaks(t)
	_, c, peer := apartPacketConn(t)
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		within(t, patience, "a read with a context that ends", func() {
			if _, _, err := c.ReadFromContext(ctx, make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read: %v, want the context's error", err)
			}
		})
		cancel()
		got := readingFrom(c)
		mustWrite(t, peer, []byte("x"))
		await(t, "the read after it", got, nil)
	}
}

// Datagrams that are there before the wait begins, and those that come in the
// middle of one, are all read.
func TestApartDatagramsAreForgotten(t *testing.T) {
	checkLeaks(t)
	_, c, peer := apartPacketConn(t)
	p := make([]byte, 16)
	for _, size := range []int{1, 2, 50, 1, 3} {
		for range size {
			mustWrite(t, peer, []byte("x"))
		}
		within(t, patience, "reading what is there", func() {
			for range size {
				if _, _, err := c.ReadFrom(p); err != nil {
					t.Error(err)
				}
			}
		})
		got := readingFrom(c)
		mustWrite(t, peer, []byte("x"))
		await(t, "the one after them", got, nil)
	}
}

// A message in the error queue makes poll(2) answer for as long as nobody takes it.
// It does not make who waits for a datagram spin, or miss it.
func TestErrorQueueMakesAnApartDatagramReaderSpin(t *testing.T) {
	checkLeaks(t)
	_, c, peer := apartPacketConn(t)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_RECVERR, 1) })
	if err != nil {
		t.Fatal(err)
	}
	gone, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if _, err := c.WriteTo([]byte("x"), gone.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	got := readingFrom(c)
	await(t, "the error", got, unix.ECONNREFUSED)
	got = readingFrom(c)
	wantAsleep(t)
	mustWrite(t, peer, []byte("x"))
	await(t, "the datagram", got, nil)
}

// Who accepts waits apart, too.
func TestApartAcceptCannotBeEnded(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(t *testing.T, d *eddy.Driver, l *eddy.Listener)
		want error
	}{
		"past deadline": {func(_ *testing.T, _ *eddy.Driver, l *eddy.Listener) { l.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"deadline": {func(_ *testing.T, _ *eddy.Driver, l *eddy.Listener) {
			l.SetDeadline(time.Now().Add(20 * time.Millisecond))
		}, os.ErrDeadlineExceeded},
		"close":    {func(_ *testing.T, _ *eddy.Driver, l *eddy.Listener) { l.Close() }, net.ErrClosed},
		"shutdown": {func(_ *testing.T, d *eddy.Driver, _ *eddy.Listener) { d.Close() }, eddy.ErrShutdown},
		"a client": {func(t *testing.T, d *eddy.Driver, l *eddy.Listener) { dial(t, d, l.Addr()) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			checkLeaks(t)
			d := newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
			l := listen(t, d, "tcp")
			accepting := func() <-chan error {
				got := make(chan error, 1)
				go func() {
					c, err := l.Accept()
					if err == nil {
						c.Close()
					}
					got <- err
				}()
				time.Sleep(20 * time.Millisecond)
				return got
			}
			for range 2 { // the first one waits in the loop
				got := accepting()
				dial(t, d, l.Addr()).Close()
				await(t, "accept", got, nil)
			}
			if n := d.Metrics().Apart; n != 1 {
				t.Fatalf("%d sockets are apart, want 1", n)
			}
			got := accepting()
			end.do(t, d, l)
			await(t, name, got, end.want)
			l.Close()
			wantNoneApart(t, d)
		})
	}
}
