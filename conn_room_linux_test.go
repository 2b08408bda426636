package eddy_test

import (
	"context"
	"net"
	"testing"

	"github.com/eddyio/eddy"
)

// Whatever leaves a socket that is not TCP's makes room, and none of it is news as
// long as nobody waits for room: not for each read of a Unix socket's peer, not for
// each datagram.
func TestLoopIsToldOfRoomThatNobodyWaitsFor(t *testing.T) {
	const messages = 200
	d := newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
	c, err := d.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	l := listen(t, d, "unix")
	peer, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	server := accept(t, l)
	for what, exchange := range map[string]func() error{
		"unix": func() error {
			if _, err := server.Write([]byte("x")); err != nil {
				return err
			}
			_, err := peer.Read(make([]byte, 1))
			return err
		},
		"udp": func() error {
			if _, err := c.WriteTo([]byte("x"), other.LocalAddr()); err != nil {
				return err
			}
			_, _, err := other.ReadFrom(make([]byte, 1))
			return err
		},
	} {
		before := d.Metrics().Driver.Turns
		for range messages {
			if err := exchange(); err != nil {
				t.Fatal(err)
			}
		}
		if turns := d.Metrics().Driver.Turns - before; turns > messages/10 {
			t.Errorf("%s: %d turns while %d messages were sent, and none received", what, turns, messages)
		}
	}
}
