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

// A reader that is busy with what it has is not to be told of each piece that comes
// meanwhile, and learns of the first one that it waits for.
func TestLoopIsToldOfDataThatNobodyWaitsFor(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			eddy.PartInTime(t)
			d := newDriver(t, eddy.Config{Backend: eddy.BackendEpoll})
			l := listen(t, d, network)
			client, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server := accept(t, l)
			const messages, size = 200, 100
			for range 2 { // deaf, and once more
				mustWrite(t, client, make([]byte, 20*size))
				p := make([]byte, 10)
				for range 20 {
					mustRead(t, server, string(p))
				}
				before := d.Metrics().Driver.Turns
				for range messages {
					mustWrite(t, client, make([]byte, size))
					mustRead(t, server, string(p))
				}
				if turns := d.Metrics().Driver.Turns - before; turns > messages/10 {
					t.Errorf("%d turns for %d messages of which nobody had to be told", turns, messages)
				}
				rest := (20+messages)*size - (20+messages)*len(p)
				mustRead(t, server, string(make([]byte, rest)))
				for range 3 {
					got := reading(server)
					mustWrite(t, client, []byte("x"))
					await(t, "a read that waits", got, nil)
				}
			}
		})
	}
}
