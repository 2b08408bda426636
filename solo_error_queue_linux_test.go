package eddy_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A message in the error queue (a time stamp, the end of a MSG_ZEROCOPY) makes
// poll(2) say POLLERR for as long as nobody takes it: a solo reader must not spin.
func TestSoloReaderSpinsOverTheErrorQueue(t *testing.T) {
	d, client, server := soloPair(t)
	raw, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING,
			unix.SOF_TIMESTAMPING_TX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE|unix.SOF_TIMESTAMPING_OPT_TSONLY)
	})
	if err != nil {
		t.Skipf("SKIPPED: no time stamps of what was sent: %v", err)
	}
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	client.Read(make([]byte, 1))
	var revents int16
	raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		unix.Poll(p, 0)
		revents = p[0].Revents
	})
	t.Logf("solos %d, revents %#x", d.Metrics().Solos, revents)
	const wait = 500 * time.Millisecond
	before := processorTime(t)
	server.SetReadDeadline(time.Now().Add(wait))
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if used := processorTime(t) - before; used > wait/4 {
		t.Errorf("waiting %v for a reply took %v of a processor; solos %d", wait, used, d.Metrics().Solos)
	}
}
