package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// setOption sets a socket option of integers.
func setOption(t *testing.T, c syscall.Conn, level, name, value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, name, value) }); err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Fatal(failed)
	}
}

// withOffload runs a test where datagrams can be cut and joined by the kernel.
// Where they cannot, it checks that this is said.
func withOffload(t *testing.T, test func(t *testing.T, d *eddy.Driver, a, b *eddy.PacketConn)) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		segment, receive := b.Offloads()
		if segment && receive {
			if d.Status().Backend == eddy.BackendPortable {
				t.Error("the portable backend promises what it does not do")
			}
			test(t, d, a, b)
			return
		}
		if d.Status().Backend != eddy.BackendPortable {
			t.Skipf("SKIPPED: UDP_SEGMENT: %v, UDP_GRO: %v", segment, receive)
		}
		_, err := a.WriteBatch(context.Background(), []eddy.Message{{Buf: make([]byte, 9), Addr: addrPort(b), SegmentSize: 3}})
		for _, err := range []error{a.SetSegmentSize(100), b.SetReceiveOffload(true), err} {
			var op *net.OpError
			if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &op) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestJoinedDatagramsAreSplitInTheWrongPlaces(t *testing.T) {
	withOffload(t, func(t *testing.T, d *eddy.Driver, a, b *eddy.PacketConn) {
		if err := b.SetReceiveOffload(true); err != nil {
			t.Fatal(err)
		}
		const size, total = 1000, 30_500
		data := pattern(total)
		joined := 0
		for _, way := range []string{"per message", "per socket"} {
			message := eddy.Message{Buf: data, Addr: addrPort(b), SegmentSize: size}
			if way == "per socket" {
				message.SegmentSize = 0
				if err := a.SetSegmentSize(size); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := a.WriteBatch(context.Background(), []eddy.Message{message}); n != 1 || err != nil {
				t.Fatalf("%s: %d, %v", way, n, err)
			}
			var got []byte
			messages := make([]eddy.Message, 4)
			for i := range messages {
				messages[i].Buf = make([]byte, 1<<16)
			}
			for len(got) < total {
				n, err := b.ReadBatch(context.Background(), messages)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range messages[:n] {
					if m.Flags != 0 || m.Addr != addrPort(a) {
						t.Errorf("%s: flags %#x, from %v", way, m.Flags, m.Addr)
					}
					if m.SegmentSize != 0 {
						joined++
					}
					for p := range m.Datagrams() {
						if want := min(size, total-len(got)); len(p) != want {
							t.Fatalf("%s: a datagram of %d bytes after %d, not %d", way, len(p), len(got), want)
						}
						got = append(got, p...)
					}
				}
			}
			if !bytes.Equal(got, data) {
				t.Errorf("%s: other bytes than were sent", way)
			}
		}
		if joined == 0 {
			t.Error("nothing was joined: nothing was tested")
		}
		if err := a.SetSegmentSize(0); err != nil {
			t.Error(err)
		}
	})
}

func TestCutDatagramsArriveAsOne(t *testing.T) {
	withOffload(t, func(t *testing.T, d *eddy.Driver, a, b *eddy.PacketConn) {
		data := pattern(5000)
		// With control data of the caller's before it, and a message without.
		ttl := make([]byte, unix.CmsgSpace(4))
		copy(ttl, controlMessage(unix.SOL_IP, unix.IP_TTL, 7))
		out := []eddy.Message{
			{Buf: data, Addr: addrPort(b), SegmentSize: 1200, OOB: ttl},
			{Buf: []byte("whole"), Addr: addrPort(b)},
			{Buf: data[:3], Addr: addrPort(b), SegmentSize: 1200},
		}
		setOption(t, b, unix.SOL_IP, unix.IP_RECVTTL, 1)
		if n, err := a.WriteBatch(context.Background(), out); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		p, oob := make([]byte, 8192), make([]byte, 64)
		for i, want := range [][]byte{data[:1200], data[1200:2400], data[2400:3600], data[3600:4800], data[4800:], []byte("whole"), data[:3]} {
			n, oobn, _, _, err := b.ReadMsgUDP(p, oob)
			if err != nil || !bytes.Equal(p[:n], want) {
				t.Fatalf("datagram %d has %d bytes, not %d, or other ones: %v", i, n, len(want), err)
			}
			header, value, _, err := unix.ParseOneSocketControlMessage(oob[:oobn])
			if err != nil || header.Type != unix.IP_TTL || (value[0] == 7) != (i < 5) {
				t.Errorf("datagram %d: control data %+v %v, %v", i, header, value, err)
			}
		}
	})
}

// controlMessage is one with an integer.
func controlMessage(level, kind int32, value byte) []byte {
	b := unix.UnixRights(int(value)) // which is one with an integer
	copy(b[unix.SizeofCmsghdr-8:], []byte{byte(level), 0, 0, 0, byte(kind), 0, 0, 0})
	return b
}

func TestSegmentSizeGetsInTheWayOfControlData(t *testing.T) {
	withOffload(t, func(t *testing.T, d *eddy.Driver, a, b *eddy.PacketConn) {
		if err := b.SetReceiveOffload(true); err != nil {
			t.Fatal(err)
		}
		// One comes before the size of the segments, the other after.
		setOption(t, b, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		setOption(t, b, unix.SOL_IP, unix.IP_PKTINFO, 1)
		stamp, info := unix.CmsgSpace(16), unix.CmsgSpace(unix.SizeofInet4Pktinfo)
		for _, c := range []struct {
			room  int
			kinds []int32
			cut   bool
		}{
			{stamp + info, []int32{unix.SO_TIMESTAMPNS, unix.IP_PKTINFO}, false},
			{stamp + info + 8, []int32{unix.SO_TIMESTAMPNS, unix.IP_PKTINFO}, false},
			{stamp, []int32{unix.SO_TIMESTAMPNS}, true},
			{1, nil, true},
			{0, nil, true},
		} {
			data := pattern(4000)
			if _, err := a.WriteBatch(context.Background(), []eddy.Message{{Buf: data, Addr: addrPort(b), SegmentSize: 1000}}); err != nil {
				t.Fatal(err)
			}
			canaries := make([]byte, 128)
			fillCanary(canaries)
			m := []eddy.Message{{Buf: make([]byte, 1<<16), OOB: canaries[:c.room:c.room]}, {Buf: make([]byte, 8), OOB: make([]byte, 64)}}
			n, err := b.ReadBatch(context.Background(), m)
			if n != 1 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if m[0].N != len(data) || m[0].SegmentSize != 1000 {
				t.Errorf("room %d: %d bytes in segments of %d", c.room, m[0].N, m[0].SegmentSize)
			}
			if !isCanary(canaries[c.room:]) {
				t.Errorf("room %d: it was not kept to", c.room)
			}
			if cut := m[0].Flags&unix.MSG_CTRUNC != 0; cut != c.cut {
				t.Errorf("room %d: flags %#x", c.room, m[0].Flags)
			}
			var kinds []int32
			for rest := m[0].OOB[:m[0].NN]; len(rest) > 0; {
				header, _, next, err := unix.ParseOneSocketControlMessage(rest)
				if err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, header.Type)
				rest = next
			}
			if len(kinds) != len(c.kinds) {
				t.Errorf("room %d: kinds %v, not %v", c.room, kinds, c.kinds)
				continue
			}
			for i := range kinds {
				if kinds[i] != c.kinds[i] {
					t.Errorf("room %d: kinds %v, not %v", c.room, kinds, c.kinds)
				}
			}
		}
	})
}
