package eddy_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

func TestReadersShareOrLoseDatagrams(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		const count, readers = 2000, 4
		seen := make(chan uint32, count)
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				p := make([]byte, 8)
				for {
					n, _, err := b.ReadFromUDPAddrPort(p)
					if errors.Is(err, net.ErrClosed) {
						return
					}
					if n != 4 || err != nil {
						t.Errorf("%d bytes, %v", n, err)
						return
					}
					seen <- binary.BigEndian.Uint32(p)
				}
			})
		}
		got := make(map[uint32]int)
		to := addrPort(b)
		for i := range uint32(count) {
			if _, err := a.WriteToUDPAddrPort(binary.BigEndian.AppendUint32(nil, i), to); err != nil {
				t.Fatal(err)
			}
			for len(got) < int(i)-50 { // what surely fits into the receive buffer
				got[<-seen]++
			}
		}
		for len(got) < count {
			select {
			case n := <-seen:
				got[n]++
			case <-time.After(5 * time.Second):
				t.Fatalf("%d of %d datagrams arrived", len(got), count)
			}
		}
		b.Close()
		wg.Wait()
		for n, times := range got {
			if times != 1 {
				t.Errorf("datagram %d arrived %d times", n, times)
			}
		}
	})
}

func TestBlockedDatagramReadIgnores(t *testing.T) {
	p := make([]byte, 8)
	ways := map[string]func(ctx context.Context, c *eddy.PacketConn) error{
		"Read":        func(_ context.Context, c *eddy.PacketConn) error { _, err := c.Read(p); return err },
		"ReadFrom":    func(_ context.Context, c *eddy.PacketConn) error { _, _, err := c.ReadFrom(p); return err },
		"ReadMsgUDP":  func(_ context.Context, c *eddy.PacketConn) error { _, _, _, _, err := c.ReadMsgUDP(p, nil); return err },
		"ReadContext": func(ctx context.Context, c *eddy.PacketConn) error { _, err := c.ReadContext(ctx, p); return err },
		"ReadFromContext": func(ctx context.Context, c *eddy.PacketConn) error {
			_, _, err := c.ReadFromContext(ctx, p)
			return err
		},
		"ReadFromUDPAddrPortContext": func(ctx context.Context, c *eddy.PacketConn) error {
			_, _, err := c.ReadFromUDPAddrPortContext(ctx, p)
			return err
		},
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for name, read := range ways {
			a, b := packetPair(t, d, "udp", "127.0.0.1:0")
			within(t, 10*time.Second, name+" despite SetReadDeadline", func() {
				time.AfterFunc(20*time.Millisecond, func() { b.SetReadDeadline(time.Now()) })
				if err := read(context.Background(), b); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: %v", name, err)
				}
				b.SetReadDeadline(time.Time{})
			})
			if len(name) > 7 && name[len(name)-7:] == "Context" {
				within(t, 10*time.Second, name+" despite its context", func() {
					ctx, cancel := context.WithCancel(context.Background())
					time.AfterFunc(20*time.Millisecond, cancel)
					err := read(ctx, b)
					var op *net.OpError
					if !errors.Is(err, context.Canceled) || !errors.As(err, &op) || op.Op != "read" {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			if _, err := a.WriteTo([]byte("x"), b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if err := read(context.Background(), b); err != nil {
				t.Errorf("%s afterwards: %v", name, err)
			}
			within(t, 10*time.Second, name+" despite Close", func() {
				time.AfterFunc(20*time.Millisecond, func() { b.Close() })
				if err := read(context.Background(), b); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	})
}

func TestListenPacketAcceptsWhatStdRefuses(t *testing.T) {
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, c := range []struct{ network, address string }{
			{"udp4", taken.LocalAddr().String()}, {"udp4", "[::1]:0"}, {"udp", "127.0.0.1:99999"}, {"nosuch", "x"},
			{"tcp", "127.0.0.1:0"}, {"unix", "/nosuch/x"}, {"unixgram", "/nosuch/directory/x"}, {"udp", "203.0.113.1:0"},
		} {
			_, want := net.ListenPacket(c.network, c.address)
			p, err := d.ListenPacket(context.Background(), c.network, c.address)
			if want == nil || err == nil || err.Error() != want.Error() {
				t.Errorf("%v: %v, with std %v", c, err, want)
			}
			if err == nil {
				p.Close()
			}
		}
	})
}

func TestReusePortIsForgotten(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no SO_REUSEPORT")
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		config := eddy.ListenConfig{ReusePort: true}
		a, err := d.ListenPacketWith(context.Background(), config, "udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := d.ListenPacketWith(context.Background(), config, "udp4", a.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, err := d.ListenPacket(context.Background(), "udp4", a.LocalAddr().String()); err == nil {
			t.Error("one without the option listens, too")
		}
	})
}

func TestAdoptedSocketLosesItsQueue(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		n, err := net.ListenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(n.LocalAddr().(*net.UDPAddr).Port))
		a, _ := packetPair(t, d, "udp4", "127.0.0.1:0")
		if _, err := a.WriteToUDPAddrPort([]byte("early"), to); err != nil {
			t.Fatal(err)
		}
		c, err := d.AdoptPacketConn(n)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if again, err := d.AdoptPacketConn(c); again != c || err != nil {
			t.Errorf("adopted twice: %v, %v", again, err)
		}
		p := make([]byte, 8)
		if n, _, err := c.ReadFrom(p); string(p[:n]) != "early" || err != nil {
			t.Errorf("%q, %v", p[:n], err)
		}
	})
}

// stranger is a net.PacketConn that is not std's.
type stranger struct{ net.PacketConn }

func TestAdoptPacketConnTakesAnything(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		n, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		for _, bad := range []net.PacketConn{nil, stranger{n}, (*net.UDPConn)(nil), (*net.UnixConn)(nil), (*eddy.PacketConn)(nil)} {
			if c, err := d.AdoptPacketConn(bad); err == nil {
				t.Errorf("%T became %v", bad, c)
			}
		}
		if _, err := n.WriteTo(nil, n.LocalAddr()); err != nil {
			t.Errorf("what was refused was closed: %v", err)
		}
		shutdown(t, d)
		if c, err := d.AdoptPacketConn(n); !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("after shutdown: %v, %v", c, err)
		}
		if c, err := d.ListenPacket(context.Background(), "udp4", "127.0.0.1:0"); !errors.Is(err, eddy.ErrShutdown) {
			t.Errorf("after shutdown: %v, %v", c, err)
		}
	})
}

func TestZeroPacketConnPanics(t *testing.T) {
	for _, c := range []*eddy.PacketConn{nil, {}} {
		for name, err := range map[string]error{
			"Close": c.Close(), "SetDeadline": c.SetDeadline(time.Time{}), "SetReadBuffer": c.SetReadBuffer(1),
			"SetSegmentSize": c.SetSegmentSize(1), "SetReceiveOffload": c.SetReceiveOffload(true),
			"Read": second(c.Read(nil)), "Write": second(c.Write(nil)), "WriteTo": second(c.WriteTo(nil, nil)),
			"ReadBatch": second(c.ReadBatch(context.Background(), nil)), "WriteBatch": second(c.WriteBatch(context.Background(), nil)),
			"WriteToUDP": second(c.WriteToUDP(nil, nil)), "WriteToUnix": second(c.WriteToUnix(nil, nil)),
		} {
			if err == nil {
				t.Errorf("%s succeeded", name)
			}
		}
		if c.LocalAddr() != nil || c.RemoteAddr() != nil {
			t.Error("it has an address")
		}
	}
}

func second(_ int, err error) error { return err }
