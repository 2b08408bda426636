package eddy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/eddyio/eddy"
	"github.com/eddyio/eddy/internal/leaktest"
)

// talk makes n round trips of one byte.
func talk(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	p := make([]byte, 1)
	for i := range n {
		if _, err := from.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, p); err != nil || p[0] != byte(i) {
			t.Fatalf("round trip %d: got %d, %v", i, p[0], err)
		}
		if _, err := to.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(from, p); err != nil || p[0] != byte(i) {
			t.Fatalf("reply %d: got %d, %v", i, p[0], err)
		}
	}
}

// epollPair connects a std client to a server of a driver without a ring.
func epollPair(t *testing.T) (d *eddy.Driver, client net.Conn, server *eddy.Conn) {
	t.Helper()
	return pairOf(t, eddy.Config{Backend: eddy.BackendEpoll})
}

// pairOf connects a std client to a server of a driver of its own.
func pairOf(t *testing.T, cfg eddy.Config) (d *eddy.Driver, client net.Conn, server *eddy.Conn) {
	t.Helper()
	d = newDriver(t, cfg)
	l := listen(t, d, "tcp")
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return d, client, accept(t, l)
}

// soloPair connects a std client to an eddy server, and makes the server's
// reader solo by echoing for it.
func soloPair(t *testing.T) (d *eddy.Driver, client net.Conn, server *eddy.Conn) {
	t.Helper()
	eddy.PartInTime(t)
	d, client, server = epollPair(t)
	begun := time.Now()
	askAlone(t, client, server, func() bool { return d.Metrics().Solos == 0 && time.Since(begun) < 10*time.Second })
	if d.Metrics().Solos == 0 {
		t.Skip("SKIPPED: the machine is too busy for a reply within 200 us")
	}
	return d, client, server
}

// askAlone sends requests, which the server echoes, a hundred at a time for as long
// as there are to be more.
func askAlone(t *testing.T, client net.Conn, server *eddy.Conn, more func() bool) {
	t.Helper()
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		p := make([]byte, 16)
		for {
			n, err := server.Read(p)
			if err != nil || p[0] == 0xff {
				return
			}
			server.Write(p[:n])
		}
	}()
	p := make([]byte, 1)
	for more() {
		for range 100 {
			client.Write([]byte{1})
			if _, err := io.ReadFull(client, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	client.Write([]byte{0xff})
	<-echoed
}

func TestReaderWithoutHoldsWaitsByItself(t *testing.T) {
	eddy.PartInTime(t)
	d, client, server := pairOf(t, eddy.Config{Backend: eddy.BackendEpoll, ParkAtOnce: true})
	rounds := 20
	askAlone(t, client, server, func() bool { rounds--; return rounds >= 0 && d.Metrics().Solos == 0 })
	if m := d.Metrics(); m.Solos != 0 {
		t.Errorf("%d readers are solo", m.Solos)
	}
}

func TestSoloReaderSleepsThroughWhatComesLate(t *testing.T) {
	leaktest.Check(t)
	_, client, server := soloPair(t)
	go func() {
		time.Sleep(20 * time.Millisecond)
		client.Write([]byte("late"))
	}()
	p := make([]byte, 16)
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := server.Read(p); err != nil || string(p[:n]) != "late" {
		t.Fatalf("read %q, %v", p[:n], err)
	}
}

func TestSoloReaderDoesNotSeeTheEnd(t *testing.T) {
	leaktest.Check(t)
	_, client, server := soloPair(t)
	client.Close()
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d, %v; want 0, io.EOF", n, err)
	}
}

func TestSoloReaderCannotBeEnded(t *testing.T) {
	leaktest.Check(t)
	for name, end := range map[string]struct {
		do   func(*eddy.Conn)
		want error
	}{
		"deadline": {func(c *eddy.Conn) { c.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		"close":    {func(c *eddy.Conn) { c.Close() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			d, _, server := soloPair(t)
			got := make(chan error, 1)
			go func() {
				_, err := server.Read(make([]byte, 1))
				got <- err
			}()
			time.Sleep(time.Millisecond)
			end.do(server)
			select {
			case err := <-got:
				if !errors.Is(err, end.want) {
					t.Errorf("read: %v, want %v", err, end.want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("still reading")
			}
			server.Close()
			if solos := d.Metrics().Solos; solos != 0 {
				t.Errorf("%d sockets are solo after the only one was closed", solos)
			}
		})
	}
}

// TestSoloSocketStaysSoloAmongOthers catches a reader that goes on occupying a
// thread although its connection is not alone any more.
func TestSoloSocketStaysSoloAmongOthers(t *testing.T) {
	leaktest.Check(t)
	d, _, server := soloPair(t)
	l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 4 {
		c, err := d.Dial(context.Background(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		talk(t, c, s, 50)
	}
	server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	server.Read(make([]byte, 1)) // it has to wait
	if solos := d.Metrics().Solos; solos != 0 {
		t.Errorf("%d sockets are solo though there was traffic on others", solos)
	}
}

func TestSoloSocketsWriterMissesRoom(t *testing.T) {
	leaktest.Check(t)
	_, client, server := soloPair(t)
	const size = 16 << 20
	wrote := make(chan error, 1)
	go func() {
		_, err := server.Write(make([]byte, size))
		wrote <- err
	}()
	if n, err := io.CopyN(io.Discard, client, size); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}
