package eddy_test

import (
	"testing"

	"github.com/eddyio/eddy"
)

// A call that panics, and whose caller recovers, as net/http does, leaves the
// connection usable; see TestPanicInsideRawConnLocksTheSide.
func TestPanicInsideWriteBuffersLocksTheSide(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, server := connect(t, d, "tcp")
		func() {
			defer func() { recover() }()
			client.WriteBuffers(nil)
		}()
		within(t, patience, "a connection whose WriteBuffers has panicked", func() {
			mustWrite(t, client, []byte("x"))
			mustRead(t, server, "x")
			client.Close()
		})
	})
}
