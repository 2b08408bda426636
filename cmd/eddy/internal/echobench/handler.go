package echobench

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// The server reads into a buffer of twice what a request takes, within these limits.
const (
	smallestBuffer = 4 << 10
	largestBuffer  = 64 << 10
)

func bufferSize(batch int) int { return min(max(2*batch, smallestBuffer), largestBuffer) }

// acceptPause is waited after an Accept that failed for want of something.
const acceptPause = 5 * time.Millisecond

// ServeEcho accepts from l and sends back what comes, a goroutine for each connection, until l is closed.
func ServeEcho(l net.Listener, buffer int) error {
	for {
		conn, err := l.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.As(err, &temporary) && temporary.Temporary():
			time.Sleep(acceptPause)
		case err != nil:
			return err
		default:
			go echo(conn, buffer)
		}
	}
}

func echo(conn net.Conn, buffer int) {
	defer conn.Close()
	buf := make([]byte, buffer)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if _, err := conn.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return // the peer is done, or gone
		}
	}
}

const greeting = "Hello, World!"

// serveHTTP is the least that a web server can do.
func serveHTTP(l net.Listener) error {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, greeting) // a client that is gone is net/http's business
		}),
		ErrorLog:          log.New(io.Discard, "", 0), // of clients that left
		ReadHeaderTimeout: time.Minute,
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// ServePackets sends every datagram back to whom it came from, until c is closed. One that cannot be sent back is lost,
// as datagrams may be: its sender has no address or is gone.
func ServePackets(c net.PacketConn, buffer int) error {
	buf := make([]byte, buffer)
	if udp, ok := c.(addrPorts); ok && strings.HasPrefix(c.LocalAddr().Network(), "udp") {
		return servePackets(func() error {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err == nil {
				_, _ = udp.WriteToUDPAddrPort(buf[:n], from)
			}
			return err
		})
	}
	return servePackets(func() error {
		n, from, err := c.ReadFrom(buf)
		if err == nil && from != nil {
			_, _ = c.WriteTo(buf[:n], from)
		}
		return err
	})
}

// addrPorts is what UDP sockets have, and costs no allocation.
type addrPorts interface {
	ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error)
}

func servePackets(one func() error) error {
	for {
		if err := one(); errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
