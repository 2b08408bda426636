//go:build race

package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/eddyio/eddy"
)

// The parts are programs with a data race on a buffer that is with the kernel;
// "none" has none.
func init() {
	roles["packet race none"] = func() error { return raceOnPacket(nil, nil) }
	roles["packet race read"] = func() error { return raceOnPacket(func(p []byte) { p[0]++ }, nil) }
	roles["packet race write"] = func() error { return raceOnPacket(nil, func(p []byte) { p[0]++ }) }
	roles["packet race order"] = packetOrder
}

// raceOnPacket sends datagrams in every way, while others touch what is read or
// what is written.
func raceOnPacket(touchRead, touchWrite func(p []byte)) error {
	a, err := eddy.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b, err := eddy.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx := context.Background()
	for way := range 3 {
		read, written := make([]byte, 8), make([]byte, 8)
		touched := make(chan struct{}, 2)
		for _, touch := range []func(){
			func() {
				if touchRead != nil {
					touchRead(read)
				}
			},
			func() {
				if touchWrite != nil {
					touchWrite(written)
				}
			},
		} {
			go func() { touch(); touched <- struct{}{} }()
		}
		switch way {
		case 0:
			a.WriteToUDPAddrPort(written, addrPort(b))
			b.ReadFromUDPAddrPort(read)
		case 1:
			a.WriteMsgUDPAddrPort(written, nil, addrPort(b))
			b.ReadMsgUDPAddrPort(read, nil)
		case 2:
			a.WriteBatch(ctx, []eddy.Message{{Buf: written, Addr: addrPort(b)}})
			b.ReadBatch(ctx, []eddy.Message{{Buf: read}})
		}
		<-touched
		<-touched
	}
	return nil
}

// packetOrder relies on a datagram for what has happened before.
func packetOrder() error {
	a, err := eddy.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b, err := eddy.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	shared := 0
	done := make(chan struct{})
	go func() {
		p := make([]byte, 1)
		b.ReadFromUDPAddrPort(p)
		shared++
		close(done)
	}()
	shared++
	a.WriteToUDPAddrPort([]byte{0}, addrPort(b))
	<-done
	return nil
}

func TestRaceOnDatagramGoesUnseen(t *testing.T) {
	if os.Getenv("EDDY_BACKEND") == "portable" || runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the portable backend's datagrams are package net's, of which the race detector is told nothing")
	}
	for role, reports := range map[string]int{"none": 0, "order": 0, "read": 3, "write": 3} {
		var stderr bytes.Buffer
		cmd := inRole("packet race "+role, "GORACE=exitcode=66 halt_on_error=0")
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if failed := errors.As(err, &exit) && exit.ExitCode() == 66; failed != (reports > 0) {
			t.Errorf("%s: %v\n%s", role, err, stderr.Bytes())
		}
		if got := bytes.Count(stderr.Bytes(), []byte("WARNING: DATA RACE")); got != reports {
			t.Errorf("%s: %d reports, not %d\n%s", role, got, reports, stderr.Bytes())
		}
	}
}
