package eddy

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

// addressOf is a kernel address as package net shows it for a network with
// connections.
func addressOf(network string, name *sys.Name) net.Addr {
	switch name.Family() {
	case unix.AF_INET:
		ip, port := name.Inet4()
		return &net.TCPAddr{IP: ip[:], Port: int(port)}
	case unix.AF_INET6:
		ip, port, zone := name.Inet6()
		return &net.TCPAddr{IP: ip[:], Port: int(port), Zone: zoneOf(int(zone))}
	case unix.AF_UNIX:
		return &net.UnixAddr{Name: name.Unix(), Net: network}
	}
	return nil
}
