package eddy

import (
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// addressOf is a kernel address as package net shows it for the network.
func addressOf(network string, sa unix.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return inetAddress(network, sa.Addr[:], sa.Port, "")
	case *unix.SockaddrInet6:
		return inetAddress(network, sa.Addr[:], sa.Port, zoneOf(int(sa.ZoneId)))
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: network}
	}
	return nil
}

func inetAddress(network string, ip []byte, port int, zone string) net.Addr {
	ip = append(net.IP(nil), ip...)
	if strings.HasPrefix(network, "udp") {
		return &net.UDPAddr{IP: ip, Port: port, Zone: zone}
	}
	return &net.TCPAddr{IP: ip, Port: port, Zone: zone}
}

// zoneOf is the name of an interface, or its number if it has none any more.
func zoneOf(index int) string {
	if index == 0 {
		return ""
	}
	return zones.name(index)
}
