//go:build !race

package eddy_test

import (
	"context"
	"testing"

	"github.com/eddyio/eddy"
)

func TestDatagramAllocates(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, at := range places(t) {
			if at.address == ":0" {
				continue
			}
			a, b := packetPair(t, d, at.network, at.address)
			to := addrPort(b)
			ctx, p, oob := context.Background(), make([]byte, 64), make([]byte, 64)
			out, in := make([]eddy.Message, 8), make([]eddy.Message, 16)
			for i := range out {
				out[i] = eddy.Message{Buf: p, Addr: to}
			}
			for i := range in {
				in[i] = eddy.Message{Buf: make([]byte, 64), OOB: oob}
			}
			portable := d.Status().Backend == eddy.BackendPortable
			for _, c := range []struct {
				what  string
				std   bool // std decides how many
				calls func() error
			}{
				{"AddrPort", false, func() error {
					if _, err := a.WriteToUDPAddrPort(p, to); err != nil {
						return err
					}
					_, _, err := b.ReadFromUDPAddrPort(p)
					return err
				}},
				{"Msg", true, func() error {
					if _, _, err := a.WriteMsgUDPAddrPort(p, nil, to); err != nil {
						return err
					}
					_, _, _, _, err := b.ReadMsgUDPAddrPort(p, oob)
					return err
				}},
				{"Batch", true, func() error {
					if _, err := a.WriteBatch(ctx, out); err != nil {
						return err
					}
					for n := 0; n < len(out); {
						got, err := b.ReadBatch(ctx, in)
						if n += got; err != nil {
							return err
						}
					}
					return nil
				}},
			} {
				got := testing.AllocsPerRun(100, func() {
					if err := c.calls(); err != nil {
						t.Fatal(err)
					}
				})
				if got > 0 && !(c.std && portable) {
					t.Errorf("%v, %s: %v allocations", at, c.what, got)
				}
			}
		}
	})
}
