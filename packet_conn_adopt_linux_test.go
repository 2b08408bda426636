package eddy_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// One end of a socketpair(2), which package net has not connected: descriptors can be
// passed over it, whichever way it was adopted.
func TestAdoptedPairRefusesControlData(t *testing.T) {
	for kind, name := range map[int]string{unix.SOCK_DGRAM: "unixgram", unix.SOCK_STREAM: "unix", unix.SOCK_SEQPACKET: "unixpacket"} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, d *eddy.Driver) {
				adopted, err := d.Adopt(halfOfPair(t, kind))
				if err != nil {
					t.Fatal(err)
				}
				defer adopted.Close()
				passes := map[string]interface {
					WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (int, int, error)
				}{
					"std's":  halfOfPair(t, kind).(*net.UnixConn),
					"a Conn": adopted,
				}
				if kind == unix.SOCK_DGRAM {
					if passes["a Conn's PacketConn"], err = adopted.PacketConn(); err != nil {
						t.Fatal(err)
					}
					packets, err := d.AdoptPacketConn(halfOfPair(t, kind).(net.PacketConn))
					if err != nil {
						t.Fatal(err)
					}
					defer packets.Close()
					passes["a PacketConn"] = packets
				}
				for what, c := range passes {
					if n, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(0), nil); n != 1 || err != nil {
						t.Errorf("%s: %d, %v", what, n, err)
					}
				}
			})
		})
	}
}

// halfOfPair is one end of a socketpair(2), as package net takes it over. The other
// one stays open, and takes what is sent.
func halfOfPair(t *testing.T, kind int) net.Conn {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	return fileConn(t, os.NewFile(uintptr(fds[0]), "half"))
}

// fileConn is net.FileConn of a file, which is closed.
func fileConn(t *testing.T, f *os.File) net.Conn {
	t.Helper()
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A UDP socket that was connected before package net had it takes addresses.
func TestAdoptedSocketRefusesAddresses(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		to, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		connected := func() net.Conn {
			c, err := net.Dial("udp4", to.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			f, err := c.(*net.UDPConn).File()
			if err != nil {
				t.Fatal(err)
			}
			return fileConn(t, f)
		}
		packets, err := d.AdoptPacketConn(connected().(net.PacketConn))
		if err != nil {
			t.Fatal(err)
		}
		defer packets.Close()
		adopted, err := d.Adopt(connected())
		if err != nil {
			t.Fatal(err)
		}
		defer adopted.Close()
		view, err := adopted.PacketConn()
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]net.PacketConn{"std's": connected().(net.PacketConn), "AdoptPacketConn's": packets, "Adopt's": view} {
			if n, err := c.WriteTo([]byte("x"), to.LocalAddr()); n != 1 || err != nil {
				t.Errorf("%s: %d, %v", what, n, err)
			}
		}
	})
}

func TestAdoptTakesAClosedSocket(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		closed, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		if c, err := d.AdoptPacketConn(closed); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, %v", c, err)
		}
	})
}

// Control data goes over a unixgram socket that was dialed with WriteBatch, as
// Conn.WriteMsgUnix says; the portable backend cannot, as Message says.
func TestBatchSendsNoControlData(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		dir := t.TempDir()
		server, err := d.ListenPacket(context.Background(), "unixgram", dir+"/server")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		dialed, err := net.DialUnix("unixgram", &net.UnixAddr{Name: dir + "/client", Net: "unixgram"}, server.LocalAddr().(*net.UnixAddr))
		if err != nil {
			t.Fatal(err)
		}
		client, err := d.AdoptPacketConn(dialed)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, _, err := client.WriteMsgUnix([]byte("x"), nil, nil); !errors.Is(err, net.ErrWriteToConnected) {
			t.Errorf("WriteMsgUnix: %v", err)
		}
		n, err := client.WriteBatch(context.Background(), []eddy.Message{{Buf: []byte("x"), OOB: unix.UnixRights(0)}})
		if d.Status().Backend == eddy.BackendPortable {
			if n != 0 || !errors.Is(err, net.ErrWriteToConnected) {
				t.Errorf("portable: %d, %v", n, err)
			}
			return
		}
		if n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		oob := make([]byte, 64)
		if _, oobn, _, _, err := server.ReadMsgUnix(make([]byte, 4), oob); oobn == 0 || err != nil {
			t.Errorf("%d bytes of control data, %v", oobn, err)
		}
		closeRights(t, oob)
	})
}

// ReadBatch takes as many as there are, up to what recvmmsg(2) takes.
func TestBatchTakesOtherThanItSays(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		if d.Status().Backend == eddy.BackendPortable {
			return // one at a time
		}
		const there, most = 1100, 1024
		a, b := packetPair(t, d, "udp4", "127.0.0.1:0")
		setOption(t, b, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		out, in := make([]eddy.Message, there), make([]eddy.Message, there)
		for i := range out {
			out[i] = eddy.Message{Buf: []byte("x"), Addr: addrPort(b)}
			in[i].Buf = make([]byte, 4)
		}
		if n, err := a.WriteBatch(context.Background(), out); n != there || err != nil {
			t.Fatal(n, err)
		}
		for _, want := range []int{most, there - most} {
			if n, err := b.ReadBatch(context.Background(), in); n != want || err != nil {
				t.Errorf("%d, %v; want %d", n, err, want)
			}
		}
	})
}
