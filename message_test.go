package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// packetPair is two sockets of a driver's; the first has what the second needs to
// reach it.
func packetPair(t *testing.T, d *eddy.Driver, network, address string) (a, b *eddy.PacketConn) {
	t.Helper()
	for _, c := range []**eddy.PacketConn{&a, &b} {
		var err error
		if *c, err = d.ListenPacket(context.Background(), network, address); err != nil {
			t.Fatal(err)
		}
		c := *c
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

func addrPort(c net.PacketConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// receiveAll reads batches until there are n messages, and copies what matters.
func receiveAll(t *testing.T, c *eddy.PacketConn, n, width, size int) []eddy.Message {
	t.Helper()
	messages := make([]eddy.Message, width)
	for i := range messages {
		messages[i].Buf = make([]byte, size)
	}
	var all []eddy.Message
	for len(all) < n {
		got, err := c.ReadBatch(context.Background(), messages)
		if err != nil {
			t.Fatalf("after %d messages: %v", len(all), err)
		}
		if got < 1 || got > width {
			t.Fatalf("ReadBatch of %d returned %d", width, got)
		}
		for _, m := range messages[:got] {
			m.Buf = slices.Clone(m.Buf)
			all = append(all, m)
		}
	}
	return all
}

func TestBatchMixesUpMessages(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, at := range places(t) {
			if at.address == ":0" {
				continue
			}
			a, b := packetPair(t, d, at.network, at.address)
			const count = 40
			out := make([]eddy.Message, count)
			for i := range out {
				out[i] = eddy.Message{Buf: pattern(i * 7), Addr: addrPort(b)}
			}
			n, err := a.WriteBatch(context.Background(), out)
			if n != count || err != nil {
				t.Fatalf("%v: WriteBatch: %d, %v", at, n, err)
			}
			for i, m := range out {
				if m.N != len(m.Buf) {
					t.Errorf("%v: of message %d, %d of %d bytes were sent", at, i, m.N, len(m.Buf))
				}
			}
			for i, m := range receiveAll(t, b, count, 16, 1024) {
				if m.N != i*7 || !bytes.Equal(m.Buf[:m.N], pattern(m.N)) {
					t.Errorf("%v: message %d has %d bytes, or other ones", at, i, m.N)
				}
				if m.Addr != addrPort(a) {
					t.Errorf("%v: message %d came from %v, it says, and not %v", at, i, m.Addr, addrPort(a))
				}
				if m.Flags != 0 || m.NN != 0 || m.SegmentSize != 0 {
					t.Errorf("%v: message %d has flags %#x, %d bytes of control data, segments of %d", at, i, m.Flags, m.NN, m.SegmentSize)
				}
			}
		}
	})
}

func TestBatchReceivesOneAtATime(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		for range 10 {
			if _, err := a.WriteTo([]byte("x"), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		messages := make([]eddy.Message, 32)
		for i := range messages {
			messages[i].Buf = make([]byte, 8)
		}
		n, err := b.ReadBatch(context.Background(), messages)
		want := 10
		if runtime.GOOS != "linux" || d.Status().Backend == eddy.BackendPortable {
			want = 1
		}
		if n != want || err != nil {
			t.Errorf("%d messages, %v; %d expected", n, err, want)
		}
	})
}

func TestBatchLargerThanACallLosesMessages(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		const count = 1030 // more than a system call takes
		out := make([]eddy.Message, count)
		for i := range out {
			out[i] = eddy.Message{Buf: fmt.Appendf(nil, "message %d", i), Addr: addrPort(b)}
		}
		// Only as many fit into the receive buffer as it takes: read along.
		done := make(chan error, 1)
		go func() {
			for i := 0; i < count; {
				n, err := a.WriteBatch(context.Background(), out[i:min(i+100, count)])
				if i += n; err != nil {
					done <- err
					return
				}
				if _, err := a.Read(make([]byte, 1)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for i := 0; i < count; {
			next := min(100, count-i)
			for _, m := range receiveAll(t, b, next, 100, 64) {
				if want := fmt.Sprintf("message %d", i); string(m.Buf[:m.N]) != want {
					t.Fatalf("%q in the place of %q", m.Buf[:m.N], want)
				}
				i++
			}
			if _, err := b.WriteTo([]byte("."), a.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		// To nobody in particular, all at once.
		n, err := a.WriteBatch(context.Background(), out)
		if n != count || err != nil {
			t.Errorf("%d of %d messages were sent: %v", n, count, err)
		}
		in := make([]eddy.Message, count)
		if n, err := b.ReadBatch(context.Background(), in); n < 1 || err != nil {
			t.Errorf("a batch of %d: %d, %v", count, n, err)
		}
	})
}

func TestBatchHidesWhichMessageFailed(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		good := eddy.Message{Buf: []byte("good"), Addr: addrPort(b)}
		for what, bad := range map[string]eddy.Message{
			"no address":  {Buf: []byte("bad")},
			"IPv6":        {Buf: []byte("bad"), Addr: netip.MustParseAddrPort("[::1]:9")},
			"port 0":      {Buf: []byte("bad"), Addr: netip.MustParseAddrPort("127.0.0.1:0")},
			"too large":   {Buf: make([]byte, 70000), Addr: addrPort(b)},
			"bad segment": {Buf: make([]byte, 10), Addr: addrPort(b), SegmentSize: 1 << 20},
		} {
			n, err := a.WriteBatch(context.Background(), []eddy.Message{good, good, bad, good})
			var op *net.OpError
			if n != 2 || !errors.As(err, &op) {
				t.Fatalf("%s: %d, %v", what, n, err)
			}
			if op.Op != "write" || op.Net != "udp4" && d.Status().Backend != eddy.BackendPortable || op.Source.String() != a.LocalAddr().String() {
				t.Errorf("%s: %#v", what, op)
			}
			if bad.Addr.IsValid() && op.Addr.String() != bad.Addr.String() {
				t.Errorf("%s: the error is about %v, not %v", what, op.Addr, bad.Addr)
			}
			for _, m := range receiveAll(t, b, 2, 4, 16) {
				if string(m.Buf[:m.N]) != "good" {
					t.Errorf("%s: got %q", what, m.Buf[:m.N])
				}
			}
			if n, err = a.WriteBatch(context.Background(), []eddy.Message{bad}); n != 0 || err == nil {
				t.Errorf("%s alone: %d, %v", what, n, err)
			}
		}
	})
}

func TestBatchOutlivesItsStop(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		messages := []eddy.Message{{Buf: make([]byte, 8)}}
		read := func(ctx context.Context) error {
			_, err := b.ReadBatch(ctx, messages)
			return err
		}
		within(t, 10*time.Second, "a batch whose context ends", func() {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(20*time.Millisecond, cancel)
			if err := read(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			if err := read(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled before: %v", err)
			}
			if n, err := a.WriteBatch(ctx, []eddy.Message{{Addr: addrPort(b)}}); n != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("write cancelled before: %d, %v", n, err)
			}
		})
		within(t, 10*time.Second, "a batch whose deadline passes", func() {
			b.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if err := read(context.Background()); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("deadline: %v", err)
			}
			b.SetReadDeadline(time.Time{})
		})
		if _, err := a.WriteTo([]byte("later"), b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if err := read(context.Background()); err != nil || string(messages[0].Buf[:messages[0].N]) != "later" {
			t.Errorf("afterwards: %q, %v", messages[0].Buf[:messages[0].N], err)
		}
		within(t, 10*time.Second, "a batch on a socket that is closed", func() {
			time.AfterFunc(20*time.Millisecond, func() { b.Close() })
			if err := read(context.Background()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed: %v", err)
			}
			if n, err := b.WriteBatch(context.Background(), []eddy.Message{{Addr: addrPort(a)}}); n != 0 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("write closed: %d, %v", n, err)
			}
		})
	})
}

func TestDialedSocketHasNoBatches(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		server, _ := packetPair(t, d, "udp4", "127.0.0.1:0")
		conn, err := d.Dial(context.Background(), "udp", server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		view, err := conn.PacketConn()
		if err != nil {
			t.Fatal(err)
		}
		n, err := view.WriteBatch(context.Background(), []eddy.Message{{Buf: []byte("one")}, {Buf: []byte("two")}})
		if n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		for i, m := range receiveAll(t, server, 2, 2, 8) {
			if string(m.Buf[:m.N]) != []string{"one", "two"}[i] {
				t.Errorf("message %d is %q", i, m.Buf[:m.N])
			}
			if _, err := server.WriteToUDPAddrPort(m.Buf[:m.N], m.Addr); err != nil {
				t.Fatal(err)
			}
		}
		if m := receiveAll(t, view, 1, 1, 8)[0]; string(m.Buf[:m.N]) != "one" || m.Addr != addrPort(server) {
			t.Errorf("%q from %v", m.Buf[:m.N], m.Addr)
		}
		p := make([]byte, 8)
		if n, err := conn.Read(p); string(p[:n]) != "two" || err != nil {
			t.Errorf("%q, %v", p[:n], err)
		}
		n, err = view.WriteBatch(context.Background(), []eddy.Message{{Buf: p, Addr: addrPort(server)}})
		if n != 0 || !errors.Is(err, net.ErrWriteToConnected) {
			t.Errorf("to an address: %d, %v", n, err)
		}
		if err := view.Close(); err != nil {
			t.Error(err)
		}
		if _, err := conn.Write(p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close of the view: %v", err)
		}
	})
}

func TestStreamPosesAsDatagrams(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn, err := d.Dial(context.Background(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.PacketConn(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("PacketConn: %v", err)
		}
		if _, _, _, _, err := conn.ReadMsgUnix(nil, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ReadMsgUnix: %v", err)
		}
		if _, _, err := conn.WriteMsgUnix(nil, nil, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("WriteMsgUnix: %v", err)
		}
		udp, _ := packetPair(t, d, "udp4", "127.0.0.1:0")
		if _, _, err := udp.ReadFromUnix(nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ReadFromUnix: %v", err)
		}
	})
}

func TestDatagramsEndsInTheMiddle(t *testing.T) {
	for _, c := range []struct{ n, size int }{{0, 0}, {0, 4}, {3, 0}, {3, 4}, {4, 4}, {9, 4}, {12, 4}} {
		m := eddy.Message{Buf: pattern(16), N: c.n, SegmentSize: c.size}
		var joined []byte
		var sizes []int
		for p := range m.Datagrams() {
			joined = append(joined, p...)
			sizes = append(sizes, len(p))
		}
		if !bytes.Equal(joined, m.Buf[:c.n]) {
			t.Errorf("%+v: %d bytes", c, len(joined))
		}
		for i, size := range sizes {
			if c.size > 0 && (size > c.size || i < len(sizes)-1 && size != c.size) {
				t.Errorf("%+v: sizes %v", c, sizes)
			}
		}
		if c.size == 0 && len(sizes) != 1 {
			t.Errorf("%+v: sizes %v", c, sizes)
		}
	}
}
