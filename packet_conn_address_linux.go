package eddy

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

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

// zones are the interfaces' names, which addresses have and the kernel has not.
var zones zoneCache

// zoneCache keeps the names and numbers of the interfaces. It looks again for
// those it does not know, and after zoneLife.
type zoneCache struct {
	mu      sync.Mutex
	fetched time.Time
	indices map[string]int
	names   map[int]string
}

// zoneLife is for how long std believes in its own.
const zoneLife = time.Minute

// name is an interface's, or its number if it has none any more.
func (z *zoneCache) name(index int) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	fresh := z.refresh(false)
	name, ok := z.names[index]
	if !ok && !fresh {
		z.refresh(true)
		name, ok = z.names[index]
	}
	if !ok {
		return strconv.Itoa(index)
	}
	return name
}

// index is an interface's number; the zone may be a number, too.
func (z *zoneCache) index(name string) uint32 {
	if name == "" {
		return 0
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	fresh := z.refresh(false)
	index, ok := z.indices[name]
	if !ok && !fresh {
		z.refresh(true)
		index, ok = z.indices[name]
	}
	if !ok {
		digits := len(name) - len(strings.TrimLeft(name, "0123456789"))
		number, _ := strconv.ParseUint(name[:digits], 10, 24) // no number is 0, too large a one the largest, as with std
		return uint32(number)
	}
	return uint32(index)
}

// refresh asks the kernel, if it is time or has to be. It reports whether it did.
func (z *zoneCache) refresh(now bool) bool {
	if !now && time.Since(z.fetched) < zoneLife {
		return false
	}
	z.fetched = time.Now()
	all, err := net.Interfaces()
	if err != nil {
		return false
	}
	z.indices = make(map[string]int, len(all))
	z.names = make(map[int]string, len(all))
	for _, i := range all {
		z.indices[i.Name] = i.Index
		z.names[i.Index] = i.Name
	}
	return true
}
