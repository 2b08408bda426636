package eddy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// udpSocket is what std's UDP sockets and eddy's have in common.
type udpSocket interface {
	net.PacketConn
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	RemoteAddr() net.Addr
	ReadFromUDP(p []byte) (int, *net.UDPAddr, error)
	ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error)
	ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error)
	ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error)
	WriteToUDP(p []byte, to *net.UDPAddr) (int, error)
	WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error)
	WriteMsgUDP(p, oob []byte, to *net.UDPAddr) (n, oobn int, err error)
	WriteMsgUDPAddrPort(p, oob []byte, to netip.AddrPort) (n, oobn int, err error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
	SyscallConn() (syscall.RawConn, error)
	File() (*os.File, error)
}

// unixSocket is what std's Unix datagram sockets and eddy's have in common.
type unixSocket interface {
	net.PacketConn
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	ReadFromUnix(p []byte) (int, *net.UnixAddr, error)
	WriteToUnix(p []byte, to *net.UnixAddr) (int, error)
	ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error)
	WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error)
}

var (
	_ udpSocket  = (*net.UDPConn)(nil)
	_ udpSocket  = (*eddy.PacketConn)(nil)
	_ unixSocket = (*net.UnixConn)(nil)
	_ unixSocket = (*eddy.PacketConn)(nil)
)

// ledger is what a scenario did, in words that do not depend on the ports and
// paths it got.
type ledger struct {
	t     *testing.T
	d     *eddy.Driver // nil: std
	lines []string
	names []string // pairs for a strings.Replacer
	dir   string
}

// note adds a line. After an error, what else was returned does not count, but
// for its being zero in eddy's case.
func (l *ledger) note(what string, values ...any) {
	words := []string{what}
	err, failed := values[len(values)-1].(error)
	if failed {
		for _, v := range values[:len(values)-1] {
			if n, ok := v.(int); ok && n != 0 && l.d != nil {
				words = append(words, fmt.Sprintf("%d and an error", n))
			}
		}
		values = []any{err}
	}
	for _, v := range values {
		words = append(words, l.describe(v))
	}
	replace := strings.NewReplacer(l.names...)
	l.lines = append(l.lines, replace.Replace(strings.Join(words, " ")))
}

func (l *ledger) describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case error:
		return l.describeError(v)
	case *net.UDPAddr:
		if v == nil {
			return "no *net.UDPAddr"
		}
		return fmt.Sprintf("%s/%d bytes/zone %q", v, len(v.IP), v.Zone)
	case *net.UnixAddr:
		if v == nil {
			return "no *net.UnixAddr"
		}
		return v.Net + "!" + v.Name
	case netip.AddrPort:
		return fmt.Sprintf("%s/4 %v/4in6 %v", v, v.Addr().Is4(), v.Addr().Is4In6())
	case net.Addr:
		return v.Network() + "!" + v.String()
	}
	return fmt.Sprintf("%#v", v)
}

func (l *ledger) describeError(err error) string {
	is := ""
	for _, target := range []error{net.ErrClosed, os.ErrDeadlineExceeded, net.ErrWriteToConnected, syscall.ECONNREFUSED, io.EOF, syscall.EINVAL} {
		if errors.Is(err, target) {
			is += fmt.Sprintf(" is:%v", target)
		}
	}
	timeout := false
	if e, ok := err.(net.Error); ok {
		timeout = e.Timeout()
	}
	switch e := err.(type) {
	case *net.OpError:
		addr := func(a net.Addr) string {
			if a == nil {
				return "nil"
			}
			return a.Network() + "!" + a.String()
		}
		return fmt.Sprintf("OpError{%s %s %s %s timeout:%v%s %s}", e.Op, e.Net, addr(e.Source), addr(e.Addr), timeout, is, l.describeError(e.Err))
	case *os.SyscallError:
		return fmt.Sprintf("SyscallError{%s %s}", e.Syscall, l.describeError(e.Err))
	}
	return fmt.Sprintf("%T{%v}", err, err)
}

// name replaces an address's changing part.
func (l *ledger) name(a net.Addr, name string) {
	switch a := a.(type) {
	case *net.UDPAddr:
		l.names = append(l.names, fmt.Sprintf(":%d", a.Port), ":"+name)
	case *net.UnixAddr:
		l.names = append(l.names, a.Name, name)
	}
}

func (l *ledger) ready(c net.PacketConn, name string) {
	l.t.Cleanup(func() { c.Close() })
	l.name(c.LocalAddr(), name)
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *ledger) listenPacket(network, address, name string) net.PacketConn {
	l.t.Helper()
	var c net.PacketConn
	var err error
	if l.d == nil {
		c, err = net.ListenPacket(network, address)
	} else {
		c, err = l.d.ListenPacket(context.Background(), network, address)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.ready(c, name)
	return c
}

func (l *ledger) listen(network, address, name string) udpSocket {
	l.t.Helper()
	return l.listenPacket(network, address, name).(udpSocket)
}

// dial connects. Where std tells udp4 from udp in errors, it is asked for udp.
func (l *ledger) dialPacket(network string, to net.Addr, name string) net.PacketConn {
	l.t.Helper()
	c, err := net.Dial(network, to.String())
	if err != nil {
		l.t.Fatal(err)
	}
	p := c.(net.PacketConn)
	if l.d != nil {
		if p, err = l.d.AdoptPacketConn(p); err != nil {
			c.Close()
			l.t.Fatal(err)
		}
	}
	l.ready(p, name)
	return p
}

func (l *ledger) dial(network string, to net.Addr, name string) udpSocket {
	l.t.Helper()
	return l.dialPacket(network, to, name).(udpSocket)
}

// sameAsStd runs a scenario with std's sockets and with a driver's.
func sameAsStd(t *testing.T, scenario func(l *ledger)) {
	t.Helper()
	std := &ledger{t: t, dir: t.TempDir()}
	scenario(std)
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		ours := &ledger{t: t, d: d, dir: t.TempDir()}
		scenario(ours)
		if len(std.lines) == 0 || len(std.lines) != len(ours.lines) {
			t.Fatalf("std wrote %d lines, we %d", len(std.lines), len(ours.lines))
		}
		for i, line := range std.lines {
			if ours.lines[i] != line {
				t.Errorf("\nstd:  %s\neddy: %s", line, ours.lines[i])
			}
		}
	})
}

// places are where UDP sockets listen, and how they reach each other.
type place struct{ network, address, host string }

func places(t *testing.T) []place {
	all := []place{
		{"udp4", "127.0.0.1:0", "127.0.0.1"},
		{"udp", "127.0.0.1:0", "127.0.0.1"},
		{"udp", ":0", "127.0.0.1"},
	}
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 here: %v", err)
		return all
	}
	c.Close()
	all = append(all, place{"udp6", "[::1]:0", "::1"}, place{"udp", "[::1]:0", "::1"}, place{"udp", ":0", "::1"}, place{"udp6", ":0", "::1"})
	return append(all, linkLocal()...)
}

// linkLocal is a place whose addresses have zones, if there is one.
func linkLocal() []place {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addresses {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.IsLinkLocalUnicast() && ip.IP.To4() == nil {
				host := ip.IP.String() + "%" + i.Name
				return []place{{"udp6", "[" + host + "]:0", host}}
			}
		}
	}
	return nil
}

// at is the address of a socket at a place.
func (p place) at(c net.PacketConn) *net.UDPAddr {
	host, err := netip.ParseAddr(p.host)
	if err != nil {
		panic(err)
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, uint16(c.LocalAddr().(*net.UDPAddr).Port)))
}

func everywhere(t *testing.T, scenario func(l *ledger, at place)) {
	for _, at := range places(t) {
		t.Run(at.network+" "+at.address+" "+at.host, func(t *testing.T) {
			sameAsStd(t, func(l *ledger) { scenario(l, at) })
		})
	}
}

func TestDatagramsArriveOtherThanWithStd(t *testing.T) {
	everywhere(t, func(l *ledger, at place) {
		a, b := l.listen(at.network, at.address, "a"), l.listen(at.network, at.address, "b")
		to := at.at(b)
		p, oob := make([]byte, 16), make([]byte, 64)

		l.note("WriteTo", first(a.WriteTo([]byte("one"), to))...)
		n, from, err := b.ReadFrom(p)
		l.note("ReadFrom", n, from, p[:n], err)
		l.note("WriteToUDP", first(a.WriteToUDP([]byte("two"), to))...)
		n, udp, err := b.ReadFromUDP(p)
		l.note("ReadFromUDP", n, udp, p[:n], err)
		l.note("WriteToUDPAddrPort", first(a.WriteToUDPAddrPort([]byte("three"), to.AddrPort()))...)
		n, port, err := b.ReadFromUDPAddrPort(p)
		l.note("ReadFromUDPAddrPort", n, port, p[:n], err)
		n, oobn, err := a.WriteMsgUDP([]byte("four"), nil, to)
		l.note("WriteMsgUDP", n, oobn, err)
		n, oobn, flags, udp, err := b.ReadMsgUDP(p, oob)
		l.note("ReadMsgUDP", n, oobn, flags, udp, p[:n], err)
		n, oobn, err = a.WriteMsgUDPAddrPort([]byte("five"), nil, to.AddrPort())
		l.note("WriteMsgUDPAddrPort", n, oobn, err)
		n, oobn, flags, port, err = b.ReadMsgUDPAddrPort(p, nil)
		l.note("ReadMsgUDPAddrPort", n, oobn, flags, port, p[:n], err)

		// Nothing, and too much.
		l.note("WriteTo nothing", first(a.WriteTo(nil, to))...)
		n, from, err = b.ReadFrom(p)
		l.note("ReadFrom nothing", n, from, err)
		l.note("WriteTo nothing", first(a.WriteToUDPAddrPort([]byte{}, to.AddrPort()))...)
		l.note("Read nothing", first(b.Read(p))...)
		if at.network == "udp4" && runtime.GOOS == "windows" {
			return // where truncation is an error
		}
		for i := range 4 {
			l.note("WriteTo", first(a.WriteTo([]byte("0123456789abcdefghij"), to))...)
			switch i {
			case 0:
				n, _, err = b.ReadFrom(p[:3])
				l.note("ReadFrom less", n, p[:n], err)
			case 1:
				n, _, flags, _, err = b.ReadMsgUDP(p[:3], oob)
				l.note("ReadMsgUDP less", n, flags, p[:n], err)
			case 2:
				n, _, err = b.ReadFrom(nil)
				l.note("ReadFrom into nothing", n, err)
			case 3:
				l.note("Read into nothing", first(b.Read(nil))...)
				n, err = b.Read(p[:5])
				l.note("Read less", n, p[:n], err)
			}
		}
	})
}

// first makes arguments of a count and an error.
func first(n int, err error) []any { return []any{n, err} }

func TestDatagramErrorsOtherThanStds(t *testing.T) {
	everywhere(t, func(l *ledger, at place) {
		a, b := l.listen(at.network, at.address, "a"), l.listen(at.network, at.address, "b")
		to := at.at(b)
		p := []byte("p")
		send := func(what string, to *net.UDPAddr) {
			l.note("WriteTo "+what, first(a.WriteTo(p, to))...)
			l.note("WriteToUDP "+what, first(a.WriteToUDP(p, to))...)
			n, oobn, err := a.WriteMsgUDP(p, nil, to)
			l.note("WriteMsgUDP "+what, n, oobn, err)
			port := to.AddrPort()
			l.note("WriteToUDPAddrPort "+what, first(a.WriteToUDPAddrPort(p, port))...)
			n, oobn, err = a.WriteMsgUDPAddrPort(p, nil, port)
			l.note("WriteMsgUDPAddrPort "+what, n, oobn, err)
		}
		send("nobody", nil)
		send("port 0", &net.UDPAddr{IP: to.IP, Zone: to.Zone})
		send("no IP", &net.UDPAddr{Port: to.Port})
		send("0.0.0.0", &net.UDPAddr{IP: net.IPv4zero, Port: to.Port})
		send("127.0.0.1", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.Port})
		send("::1", &net.UDPAddr{IP: net.IPv6loopback, Port: to.Port})
		send("an IP of three bytes", &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: to.Port})
		send("a zone that is not", &net.UDPAddr{IP: net.ParseIP("fe80::1"), Port: to.Port, Zone: "nosuchzone"})
		for _, port := range []int{-1, 65536} {
			l.note("WriteTo a port", first(a.WriteTo(p, &net.UDPAddr{IP: to.IP, Port: port}))...)
			n, oobn, err := a.WriteMsgUDP(p, nil, &net.UDPAddr{IP: to.IP, Port: port})
			l.note("WriteMsgUDP a port", n, oobn, err)
		}
		l.note("WriteTo nil", first(a.WriteTo(p, nil))...)
		l.note("WriteTo TCP", first(a.WriteTo(p, &net.TCPAddr{IP: to.IP, Port: 1}))...)
		l.note("WriteTo Unix", first(a.WriteTo(p, &net.UnixAddr{Name: "x", Net: "unixgram"}))...)
		l.note("WriteTo too much", first(a.WriteTo(make([]byte, 70000), to))...)
		n, _, err := a.WriteMsgUDP(make([]byte, 70000), nil, to)
		l.note("WriteMsgUDP too much", n, err)
		l.note("Write", first(a.Write(p))...)
		l.note("SetReadBuffer", a.SetReadBuffer(8192))
		l.note("SetWriteBuffer", a.SetWriteBuffer(8192))
		l.note("RemoteAddr", a.RemoteAddr())
		l.note("LocalAddr", a.LocalAddr())

		c := l.dial(at.network, to, "c")
		l.note("connected WriteTo", first(c.WriteTo(p, to))...)
		l.note("connected WriteTo nil", first(c.WriteTo(p, (*net.UDPAddr)(nil)))...)
		l.note("connected WriteToUDPAddrPort", first(c.WriteToUDPAddrPort(p, to.AddrPort()))...)
		l.note("connected WriteToUDPAddrPort nil", first(c.WriteToUDPAddrPort(p, netip.AddrPort{}))...)
		n, oobn, err := c.WriteMsgUDP(p, nil, to)
		l.note("connected WriteMsgUDP", n, oobn, err)
		n, oobn, err = c.WriteMsgUDP(p, nil, nil)
		l.note("connected WriteMsgUDP nil", n, oobn, err)
		n, oobn, err = c.WriteMsgUDPAddrPort(p, nil, to.AddrPort())
		l.note("connected WriteMsgUDPAddrPort", n, oobn, err)
		n, oobn, err = c.WriteMsgUDPAddrPort(p, nil, netip.AddrPort{})
		l.note("connected WriteMsgUDPAddrPort nil", n, oobn, err)
		n, oobn, err = c.WriteMsgUDP(make([]byte, 70000), nil, nil)
		l.note("connected WriteMsgUDP too much", n, oobn, err)
		l.note("connected RemoteAddr", c.RemoteAddr())
	})
}

// reads makes every call that reads.
func reads(l *ledger, what string, c udpSocket) {
	p := make([]byte, 16)
	l.note(what+" Read", first(c.Read(p))...)
	n, from, err := c.ReadFrom(p)
	l.note(what+" ReadFrom", n, from, err)
	n, udp, err := c.ReadFromUDP(p)
	l.note(what+" ReadFromUDP", n, udp, err)
	n, port, err := c.ReadFromUDPAddrPort(p)
	l.note(what+" ReadFromUDPAddrPort", n, port, err)
	n, oobn, flags, udp, err := c.ReadMsgUDP(p, nil)
	l.note(what+" ReadMsgUDP", n, oobn, flags, udp, err)
	n, oobn, flags, port, err = c.ReadMsgUDPAddrPort(p, nil)
	l.note(what+" ReadMsgUDPAddrPort", n, oobn, flags, port, err)
}

// writes makes every call that writes to an address.
func writes(l *ledger, what string, c udpSocket, to *net.UDPAddr) {
	p := []byte("p")
	l.note(what+" WriteTo", first(c.WriteTo(p, to))...)
	l.note(what+" WriteToUDPAddrPort", first(c.WriteToUDPAddrPort(p, to.AddrPort()))...)
	n, oobn, err := c.WriteMsgUDP(p, nil, to)
	l.note(what+" WriteMsgUDP", n, oobn, err)
	n, oobn, err = c.WriteMsgUDPAddrPort(p, nil, to.AddrPort())
	l.note(what+" WriteMsgUDPAddrPort", n, oobn, err)
}

func TestDatagramDeadlinesAndCloseOtherThanStds(t *testing.T) {
	everywhere(t, func(l *ledger, at place) {
		a, b := l.listen(at.network, at.address, "a"), l.listen(at.network, at.address, "b")
		to := at.at(b)
		l.note("SetDeadline", a.SetDeadline(time.Unix(1, 0)))
		reads(l, "expired", a)
		writes(l, "expired", a, to)
		l.note("SetDeadline", a.SetDeadline(time.Time{}))
		writes(l, "renewed", a, to)
		n, _, err := b.ReadFrom(make([]byte, 1))
		l.note("renewed ReadFrom", n, err)
		l.note("SetReadDeadline", a.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		n, from, err := a.ReadFrom(make([]byte, 1))
		l.note("waiting ReadFrom", n, from, err)

		raw, err := a.SyscallConn()
		l.note("SyscallConn", raw != nil, err)
		l.note("Close", a.Close())
		l.note("Close again", a.Close())
		reads(l, "closed", a)
		writes(l, "closed", a, to)
		l.note("closed Write", first(a.Write(nil))...)
		l.note("closed Read nothing", first(a.Read(nil))...)
		l.note("closed SetDeadline", a.SetDeadline(time.Time{}))
		l.note("closed SetReadDeadline", a.SetReadDeadline(time.Time{}))
		l.note("closed SetWriteDeadline", a.SetWriteDeadline(time.Time{}))
		l.note("closed SetReadBuffer", a.SetReadBuffer(8192))
		l.note("closed Control", raw.Control(func(uintptr) {}))
		_, err = a.File()
		l.note("closed File", err)
		l.note("closed LocalAddr", a.LocalAddr())
	})
}

func TestRefusedDatagramStaysUnknown(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows tells of refusal at other times")
	}
	everywhere(t, func(l *ledger, at place) {
		gone := l.listen(at.network, at.address, "gone")
		to := at.at(gone)
		c := l.dial(at.network, to, "c") // before the port is free: else it may be given to this one
		gone.Close()
		p := make([]byte, 8)
		calls := []func(){
			func() { l.note("Read", first(c.Read(p))...) },
			func() { n, from, err := c.ReadFrom(p); l.note("ReadFrom", n, from, err) },
			func() { n, from, err := c.ReadFromUDPAddrPort(p); l.note("ReadFromUDPAddrPort", n, from, err) },
			func() {
				n, oobn, flags, from, err := c.ReadMsgUDP(p, nil)
				l.note("ReadMsgUDP", n, oobn, flags, from, err)
			},
			func() { l.note("Write again", first(c.Write(p))...) },
			func() { n, oobn, err := c.WriteMsgUDP(p, nil, nil); l.note("WriteMsgUDP", n, oobn, err) },
			func() {
				n, oobn, err := c.WriteMsgUDPAddrPort(p, nil, netip.AddrPort{})
				l.note("WriteMsgUDPAddrPort", n, oobn, err)
			},
		}
		for _, call := range calls {
			l.note("Write", first(c.Write([]byte("anybody?")))...)
			call()
		}
	})
}

func TestUnixDatagramsOtherThanStds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: Windows has no unixgram")
	}
	sameAsStd(t, func(l *ledger) {
		l.names = append(l.names, l.dir, "DIR")
		a := l.listenPacket("unixgram", l.dir+"/a", "a").(unixSocket)
		b := l.listenPacket("unixgram", l.dir+"/b", "b").(unixSocket)
		to := b.LocalAddr().(*net.UnixAddr)
		p, oob := make([]byte, 16), make([]byte, 64)
		l.note("WriteTo", first(a.WriteTo([]byte("one"), to))...)
		n, from, err := b.ReadFrom(p)
		l.note("ReadFrom", n, from, p[:n], err)
		l.note("WriteToUnix", first(a.WriteToUnix([]byte("two"), to))...)
		n, unix, err := b.ReadFromUnix(p)
		l.note("ReadFromUnix", n, unix, p[:n], err)
		n, oobn, err := a.WriteMsgUnix([]byte("three"), nil, to)
		l.note("WriteMsgUnix", n, oobn, err)
		n, oobn, flags, unix, err := b.ReadMsgUnix(p, oob)
		l.note("ReadMsgUnix", n, oobn, flags, unix, p[:n], err)
		l.note("WriteTo nothing", first(a.WriteTo(nil, to))...)
		l.note("Read nothing", first(b.Read(p))...)
		l.note("WriteTo", first(a.WriteTo([]byte("four"), to))...)
		n, _, flags, _, err = b.ReadMsgUnix(p[:2], nil)
		l.note("ReadMsgUnix less", n, flags, p[:n], err)

		// A sender without a name.
		c := l.dialPacket("unixgram", to, "c").(unixSocket)
		l.note("connected Write", first(c.Write([]byte("five")))...)
		n, from, err = b.ReadFrom(p)
		l.note("ReadFrom nobody", n, from, p[:n], err)
		l.note("connected Write", first(c.Write([]byte("six")))...)
		n, unix, err = b.ReadFromUnix(p)
		l.note("ReadFromUnix nobody", n, unix, p[:n], err)
		l.note("connected WriteTo", first(c.WriteTo(p, to))...)
		n, oobn, err = c.WriteMsgUnix(p, nil, nil)
		l.note("connected WriteMsgUnix", n, oobn, err)

		for _, bad := range []*net.UnixAddr{
			nil, {Net: "unixgram"}, {Name: l.dir + "/nosuch", Net: "unixgram"}, {Name: to.Name, Net: "unix"},
			{Name: strings.Repeat("x", 300), Net: "unixgram"}, {Name: "@nosuch", Net: "unixgram"},
		} {
			l.note("WriteTo bad", first(a.WriteTo(p, bad))...)
			l.note("WriteToUnix bad", first(a.WriteToUnix(p, bad))...)
			n, oobn, err = a.WriteMsgUnix(p, nil, bad)
			l.note("WriteMsgUnix bad", n, oobn, err)
		}
		l.note("WriteTo UDP", first(a.WriteTo(p, &net.UDPAddr{}))...)
		l.note("WriteTo nil", first(a.WriteTo(p, nil))...)
		l.note("Write", first(a.Write(p))...)
		l.note("SetDeadline", a.SetDeadline(time.Unix(1, 0)))
		n, from, err = a.ReadFrom(p)
		l.note("expired ReadFrom", n, from, err)
		n, oobn, flags, unix, err = a.ReadMsgUnix(p, oob)
		l.note("expired ReadMsgUnix", n, oobn, flags, unix, err)
		l.note("expired WriteTo", first(a.WriteTo(p, to))...)
		l.note("Close", b.Close())
		n, unix, err = b.ReadFromUnix(p)
		l.note("closed ReadFromUnix", n, unix, err)
		l.note("SetDeadline", a.SetDeadline(time.Time{}))
		l.note("WriteTo closed", first(a.WriteTo(p, to))...)
		_, err = os.Stat(to.Name)
		l.note("the name is left", err == nil)
	})
}
