package eddy_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// canCut asks the descriptor's number, which after Close may be anybody's.
func TestSegmentsOnAClosedConnAskAForeignDescriptor(t *testing.T) {
	d := newDriver(t, eddy.Config{})
	batch := []eddy.Message{{Buf: make([]byte, 100), Addr: netip.MustParseAddrPort("127.0.0.1:9"), SegmentSize: 50}}
	c, err := d.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := c.WriteBatch(context.Background(), batch); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	c, err = d.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetWriteDeadline(time.Unix(1, 0))
	if _, err := c.WriteBatch(context.Background(), batch); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
}
