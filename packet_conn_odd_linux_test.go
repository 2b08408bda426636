package eddy_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOddDatagramsDifferFromStd(t *testing.T) {
	everywhere(t, func(l *ledger, at place) {
		a, b := l.listen(at.network, at.address, "a"), l.listen(at.network, at.address, "b")
		to := at.at(b)
		if to.IP.To4() != nil {
			setOption(l.t, b, unix.SOL_IP, unix.IP_PKTINFO, 1)
			setOption(l.t, b, unix.SOL_IP, unix.IP_RECVTTL, 1)
			setOption(l.t, b, unix.SOL_IP, unix.IP_RECVTOS, 1)
		}
		if strings.Contains(at.address, ":1]") || at.network == "udp6" {
			setOption(l.t, b, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
		for _, room := range []int{0, 1, 15, 16, 20, 24, 30, 32, 50, 64, 100, 200} {
			a.WriteTo([]byte("hello"), to)
			p, oob := make([]byte, 3), make([]byte, room)
			n, oobn, flags, from, err := b.ReadMsgUDP(p, oob)
			l.note("room", room, n, oobn, flags, from, err)
		}
		for _, bad := range [][]byte{{1}, make([]byte, 16), controlMessage(unix.SOL_IP, unix.IP_TTL, 7), controlMessage(unix.SOL_IP, unix.IP_TTL, 0), controlMessage(unix.SOL_IP, 250, 0)} {
			n, oobn, err := a.WriteMsgUDP([]byte("x"), bad, to)
			l.note("bad oob", n, oobn, err)
			n, oobn, err = a.WriteMsgUDPAddrPort(nil, bad, to.AddrPort())
			l.note("bad oob", n, oobn, err)
		}
		for _, zone := range []string{"1", "lo", "1x", "99", "-1", "4294967297"} {
			l.note("zone "+zone, first(a.WriteTo([]byte("x"), &net.UDPAddr{IP: to.IP, Port: to.Port, Zone: zone}))...)
			l.note("zone ll "+zone, first(a.WriteTo([]byte("x"), &net.UDPAddr{IP: net.ParseIP("fe80::1234"), Port: to.Port, Zone: zone}))...)
			l.note("zone ap"+zone, first(a.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr("fe80::1234").WithZone(zone), 9)))...)
		}
		l.note("multicast", first(a.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(255, 255, 255, 255), Port: to.Port}))...)
		l.note("SetReadBuffer", a.SetReadBuffer(-1))
		l.note("SetReadBuffer", a.SetReadBuffer(0))
		l.note("SetWriteBuffer", a.SetWriteBuffer(-1))
		b.SetDeadline(time.Now().Add(20 * time.Millisecond))
		for range 60 {
			_, _, err := b.ReadFrom(make([]byte, 8))
			if err != nil {
				l.note("end", err)
				break
			}
		}
		b.SetDeadline(time.Time{})
		c := l.dial(at.network, to, "c")
		l.note("Write nothing", first(c.Write(nil))...)
		n, from, err := b.ReadFrom(make([]byte, 8))
		l.note("ReadFrom nothing", n, from, err)
		l.note("Write too much", first(c.Write(make([]byte, 70000)))...)
		l.note("Write ok", first(c.Write(make([]byte, 60000)))...)
		n, oobn, flags, ap, err := b.ReadMsgUDPAddrPort(make([]byte, 70000), nil)
		l.note("big", n, oobn, flags, ap, err)
		n, oobn, err = c.WriteMsgUDP([]byte("x"), []byte{1}, nil)
		l.note("bad oob", n, oobn, err)
		raw, _ := c.SyscallConn()
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
		l.note("Write shut", first(c.Write([]byte("x")))...)
		l.note("Write shut", first(c.Write(nil))...)
		n, oobn, err = c.WriteMsgUDP([]byte("x"), nil, nil)
		l.note("WriteMsg shut", n, oobn, err)
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RD) })
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		l.note("Read shut", first(c.Read(make([]byte, 8)))...)
		n, from, err = c.ReadFrom(make([]byte, 8))
		l.note("ReadFrom shut", n, from, err)
		n, oobn, flags, ap, err = c.ReadMsgUDPAddrPort(make([]byte, 8), make([]byte, 8))
		l.note("ReadMsg shut", n, oobn, flags, ap, err)
	})
}

func TestOddUnixDatagramsDifferFromStd(t *testing.T) {
	sameAsStd(t, func(l *ledger) {
		l.names = append(l.names, l.dir+"/"+strings.Repeat("b", 107-len(l.dir)-1), "LONG", l.dir, "DIR")
		a := l.listenPacket("unixgram", fmt.Sprintf("@rev3-a%p", l), "a").(unixSocket)
		b := l.listenPacket("unixgram", l.dir+"/"+strings.Repeat("b", 107-len(l.dir)-1), "b").(unixSocket)
		to := b.LocalAddr().(*net.UnixAddr)
		p, oob := make([]byte, 16), make([]byte, 64)
		l.note("WriteTo", first(a.WriteTo([]byte("one"), to))...)
		n, from, err := b.ReadFrom(p)
		l.note("ReadFrom", n, from, p[:n], err)
		l.note("WriteTo back", first(b.WriteTo([]byte("one"), a.LocalAddr()))...)
		n, from, err = a.ReadFrom(p)
		l.note("ReadFrom long", n, from, p[:n], err)
		for _, name := range []string{"@", "\x00", "", "\x00rev3-a", "@rev3-a\x00", "a\x00b", strings.Repeat("x", 107), strings.Repeat("x", 108), strings.Repeat("x", 109), "@" + strings.Repeat("x", 107), "@" + strings.Repeat("x", 108), "\x00" + strings.Repeat("x", 107)} {
			l.note("WriteTo "+name, first(b.WriteTo([]byte("y"), &net.UnixAddr{Name: name, Net: "unixgram"}))...)
			n, oobn, err := b.WriteMsgUnix([]byte("y"), nil, &net.UnixAddr{Name: name, Net: "unixgram"})
			l.note("WriteMsgUnix "+name, n, oobn, err)
		}
		n, oobn, err := a.WriteMsgUnix(nil, unix.UnixRights(0), to)
		l.note("rights only", n, oobn, err)
		n, oobn, flags, f, err := b.ReadMsgUnix(nil, oob)
		l.note("rights only", n, oobn, flags, f, err)
		if err == nil {
			closeRights(l.t, oob)
		}
		n, oobn, err = a.WriteMsgUnix(nil, unix.UnixRights(0, 0), to)
		l.note("rights only", n, oobn, err)
		n, oobn, flags, f, err = b.ReadMsgUnix(nil, oob[:20])
		l.note("rights no room", n, oobn, flags, f, err)
		if err == nil {
			closeRights(l.t, oob)
		}
		n, oobn, err = a.WriteMsgUnix([]byte("z"), []byte{1, 2}, to)
		l.note("bad oob", n, oobn, err)
		l.note("too much", first(a.WriteTo(make([]byte, 10<<20), to))...)
		setOption(l.t, b.(syscall.Conn), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		a.WriteTo([]byte("creds"), to)
		n, oobn, flags, f, err = b.ReadMsgUnix(p, oob)
		l.note("creds", n, oobn, flags, f, err)
	})
}
