package eddy_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// While close(2) lingers, a connection is closed already: whoever calls it is
// told so at once, as in package net.
func TestLingeringCloseHoldsUpOtherCalls(t *testing.T) {
	for name, w := range map[string]world{"net": stdWorld, "eddy": worldOf(newDriver(t, eddy.Config{}))} {
		t.Run(name, func(t *testing.T) {
			client, server := w.connect(t, "tcp")
			defer server.Close()
			client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			for { // until the peer's window is full
				if _, err := client.Write(make([]byte, 1<<20)); err != nil {
					break
				}
			}
			inside := make(chan error, 2)
			for range 2 { // one waits for data, the other for its turn
				go func() {
					_, err := client.Read(make([]byte, 1))
					inside <- err
				}()
			}
			time.Sleep(50 * time.Millisecond)
			client.(interface{ SetLinger(int) error }).SetLinger(2)
			closed := make(chan struct{})
			begun := time.Now()
			go func() { client.Close(); close(closed) }()
			time.Sleep(50 * time.Millisecond)
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			if _, err := client.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("a Read and a Write after Close returned after %v", took)
			}
			for range 2 {
				<-inside
			}

			<-closed

		})
	}
}
