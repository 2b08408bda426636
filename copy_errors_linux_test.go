package eddy_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// The errors of io.Copy to and from connections that have neither ReadFrom nor
// WriteTo in package net, where no system call does the copy: they name a read or
// a write, as std's and as the portable backend's do.
func TestCopyErrorIsNotStds(t *testing.T) {
	for _, network := range []string{"unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			run := func(w world) []string {
				r := &report{}
				c, _ := w.connect(t, network)
				c.SetDeadline(time.Unix(1, 0))
				n, err := io.Copy(c, onlyReader{bytes.NewBufferString("x")})
				r.add("to the connection", n, err)
				n, err = io.Copy(onlyWriter{io.Discard}, c)
				r.add("from the connection", n, err)
				return r.lines
			}
			want := run(stdWorld)
			for _, backend := range []eddy.Backend{eddy.BackendEpoll, eddy.BackendPortable} {
				got := run(worldOf(newDriver(t, eddy.Config{Backend: backend})))
				for i := range want {
					if want[i] != got[i] {
						t.Errorf("%v\nstd  %s\neddy %s", backend, want[i], got[i])
					}
				}
			}
		})
	}
}
