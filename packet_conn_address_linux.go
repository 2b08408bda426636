package eddy

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

// addrPortOf is a kernel address, as std shows it: with IPv4-mapped addresses as
// they are.
func addrPortOf(name *sys.Name) netip.AddrPort {
	switch name.Family() {
	case unix.AF_INET:
		ip, port := name.Inet4()
		return netip.AddrPortFrom(netip.AddrFrom4(ip), port)
	case unix.AF_INET6:
		ip, port, zone := name.Inet6()
		return netip.AddrPortFrom(netip.AddrFrom16(ip).WithZone(zoneOf(int(zone))), port)
	}
	return netip.AddrPort{}
}

// nameAddrPort makes a kernel address for a socket of the family. An IPv4
// address becomes an IPv4-mapped one on a socket of IPv6.
func nameAddrPort(name *sys.Name, family int, to netip.AddrPort) error {
	address := to.Addr()
	if family == unix.AF_INET6 {
		name.SetInet6(address.As16(), to.Port(), zones.index(address.Zone()))
		return nil
	}
	if !address.Is4() && !address.Is4In6() {
		return &net.AddrError{Err: "non-IPv4 address", Addr: address.String()}
	}
	name.SetInet4(address.As4(), to.Port())
	return nil
}

// nameUDP is nameAddrPort for a *net.UDPAddr, with the liberties std takes: no
// address is the unspecified one, and so is 0.0.0.0 on a socket of IPv6. A port
// out of range makes the name unfit.
func nameUDP(name *sys.Name, family int, to *net.UDPAddr) error {
	ip := to.IP
	if family == unix.AF_INET6 {
		if len(ip) == 0 || ip.Equal(net.IPv4zero) {
			ip = net.IPv6zero
		}
		ip = ip.To16()
		if ip == nil {
			return &net.AddrError{Err: "non-IPv6 address", Addr: to.IP.String()}
		}
		name.SetInet6([16]byte(ip), uint16(to.Port), zones.index(to.Zone))
	} else {
		if len(ip) == 0 {
			ip = net.IPv4zero
		}
		ip = ip.To4()
		if ip == nil {
			return &net.AddrError{Err: "non-IPv4 address", Addr: to.IP.String()}
		}
		name.SetInet4([4]byte(ip), uint16(to.Port))
	}
	if to.Port < 0 || to.Port > 0xffff {
		name.Unfit()
	}
	return nil
}

// unixAddrOf is a kernel address, or nil if the sender has none.
func unixAddrOf(name *sys.Name, network string) *net.UnixAddr {
	if name.Family() != unix.AF_UNIX {
		return nil
	}
	return &net.UnixAddr{Name: name.Unix(), Net: network}
}
