package eddy_test

import (
	"context"
	"net"
	"testing"

	"github.com/eddyio/eddy"
)

// A connection that asked for MPTCP and whose peer has only TCP does not use it;
// one between two that have it does. Both as package net says.
func TestFallbackToPlainTCPCountsAsMultipath(t *testing.T) {
	for _, listenerHasIt := range []bool{false, true} {
		var config net.ListenConfig
		config.SetMultipathTCP(listenerHasIt)
		l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var dialer net.Dialer
		dialer.SetMultipathTCP(true)
		dial := func() *net.TCPConn {
			c, err := dialer.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return c.(*net.TCPConn)
		}
		std := dial()
		want, err := std.MultipathTCP()
		if err != nil {
			t.Fatal(err)
		}
		std.Close()
		eachBackend(t, func(t *testing.T, d *eddy.Driver) {
			c, err := d.Adopt(dial())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got, err := c.MultipathTCP(); err != nil || got != want {
				t.Errorf("listener with MPTCP %v: MultipathTCP says %v, %v; package net %v", listenerHasIt, got, err, want)
			}
		})
	}
}
