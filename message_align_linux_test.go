package eddy_test

import (
	"context"
	"encoding/binary"
	"net"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// Control messages are aligned to the processor's words: on a 32-bit one, a gap
// after one of 20 bytes is no message, and the kernel refuses all of them.
func TestSegmentSizeAfterControlDataIsMisaligned(t *testing.T) {
	withOffload(t, func(t *testing.T, _ *eddy.Driver, a, b *eddy.PacketConn) {
		raw, err := a.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			clock := make([]byte, 8) // struct sock_txtime, net_tstamp.h
			binary.NativeEndian.PutUint32(clock, unix.CLOCK_MONOTONIC)
			err = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_TXTIME, string(clock))
		})
		if err != nil {
			t.Skipf("SKIPPED: SO_TXTIME: %v", err)
		}
		oob := make([]byte, unix.CmsgSpace(8))
		// SAFETY: there is room for a header, of which the slice is the owner.
		header := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(oob)))
		header.Level, header.Type = unix.SOL_SOCKET, unix.SCM_TXTIME
		header.SetLen(unix.CmsgLen(8))
		binary.NativeEndian.PutUint64(oob[unix.CmsgLen(0):], 1) // long ago
		to := b.LocalAddr().(*net.UDPAddr).AddrPort()
		for _, segment := range []int{0, 50} {
			m := []eddy.Message{{Buf: make([]byte, 100), OOB: oob, Addr: to, SegmentSize: segment}}
			if n, err := a.WriteBatch(context.Background(), m); n != 1 || err != nil {
				t.Errorf("segment size %d: %d, %v", segment, n, err)
			}
		}
	})
}
