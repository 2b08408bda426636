package eddy

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A loop whose driver fails ends. Who waits in it, and who comes later, must be
// told, not wait for ever.
func TestLoopThatFailsLeavesItsSocketsAsleep(t *testing.T) {
	d, err := New(Config{Backend: BackendEpoll, Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Shutdown(context.Background())
	l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.AcceptConn()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := c.t.(*socket)
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	time.Sleep(20 * time.Millisecond)
	// Somebody else in the process closes descriptors that are not his, and
	// their numbers get other files.
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(null, s.loop.driver.Fd(), unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	unix.Close(null)
	client.Write([]byte("x"))
	select {
	case <-s.loop.ended:
		t.Logf("the loop has ended: %v", s.loop.fail)
	case <-time.After(5 * time.Second):
		t.Fatal("the loop goes on")
	}
	select {
	case err := <-read:
		if !errors.Is(err, ErrShutdown) {
			t.Errorf("the read: %v", err)
		}
	case <-time.After(2 * time.Second):
		t.Error("the read waits for ever, although there is something to read")
	}
}
