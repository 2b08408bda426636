package eddy

import (
	"context"
	"math"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy/internal/sys"
)

// On 32-bit systems the number of sockets so far is no int.
func TestPickPanicsAfterManySockets(t *testing.T) {
	d, err := New(Config{Backend: BackendEpoll, Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, sockets := range []uint32{0, math.MaxInt32, math.MaxUint32} {
		d.system.(*linuxSystem).loops.next.Store(sockets)
		l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

// While somebody whom the last turn woke does not run yet, nobody makes a round:
// who waits has to say that it runs.
func TestRawReadLeavesTheLoopWaking(t *testing.T) {
	d, err := New(Config{Backend: BackendEpoll, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := d.ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	loop := c.t.(*packetSocket).loop
	time.AfterFunc(20*time.Millisecond, func() { c.WriteTo([]byte("x"), c.LocalAddr()) })
	err = raw.Read(func(fd uintptr) bool {
		_, err := unix.Read(int(fd), make([]byte, 16))
		return err != unix.EAGAIN
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if !loop.waking.Load() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("the loop still waits for somebody to run")
}

// Each connection to a link-local address has an interface to name.
func TestAcceptAsksForInterfacesEachTime(t *testing.T) {
	const index = 1 << 20
	zones.name(index) // fetches them, if it is time
	zones.mu.Lock()
	zones.names[index] = "made-up"
	zones.mu.Unlock()
	defer func() {
		zones.mu.Lock()
		delete(zones.names, index)
		zones.mu.Unlock()
	}()
	var name sys.Name
	name.SetInet6(netip.MustParseAddr("fe80::1").As16(), 1, index)
	if got := addressOf("tcp", &name).String(); got != "[fe80::1%made-up]:1" {
		t.Errorf("the address is %s, which is not what is known of its interface", got)
	}
}
