//go:build !race

package eddy_test

import (
	"testing"

	"github.com/eddyio/eddy"
)

// The detector of races allocates by itself, hence the constraint above.
func TestConnAllocates(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, network := range []string{"tcp", "unix"} {
			client, server := connect(t, d, network)
			p := make([]byte, 64)
			go func() { // an echo, whose reader is parked each time
				q := make([]byte, 64)
				for {
					n, err := server.Read(q)
					if err != nil {
						return
					}
					if _, err := server.Write(q[:n]); err != nil {
						return
					}
				}
			}()
			for what, call := range map[string]func() error{
				"Write and Read": func() error {
					if _, err := client.Write(p); err != nil {
						return err
					}
					_, err := client.Read(p)
					return err
				},
				"a call without anything to do": func() error {
					if _, err := client.Read(nil); err != nil {
						return err
					}
					_, err := client.Write(nil)
					return err
				},
				"a deadline that moves on": func() error { return client.SetDeadline(timeout()) },
			} {
				if err := call(); err != nil { // what is made once
					t.Fatal(err)
				}
				got := testing.AllocsPerRun(300, func() {
					if err := call(); err != nil {
						t.Fatal(err)
					}
				})
				if got > 0 {
					t.Errorf("%s, %s: %v allocations", network, what, got)
				}
			}
			client.Close()
			server.Close()
		}
	})
}
