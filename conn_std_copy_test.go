package eddy_test

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// A server that takes its connections from eddy and dials with package net, or the
// other way round, passes on what it gets.
func TestCopyBetweenStdAndConnSendsOtherBytes(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // as TestCopyBetweenConnsSendsOtherBytes
	}
	data := make([]byte, 1<<20+13)
	newStream(11).fill(data)
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		defer dropPipes(t)()
		ours := worldOf(d)
		for _, way := range []struct {
			what     string
			from, to world
		}{{"std to eddy", stdWorld, ours}, {"eddy to std", ours, stdWorld}} {
			for _, network := range []string{"tcp", "unix"} {
				for _, limit := range []int64{-1, 1 << 19} {
					copyAcross(t, way.what+", "+network, way.from, way.to, network, data, limit)
				}
			}
		}
	})
}

func copyAcross(t *testing.T, what string, from, to world, network string, data []byte, limit int64) {
	t.Helper()
	in, source := from.connect(t, network)
	target, out := to.connect(t, network)
	go func() {
		in.Write(data)
		in.Close()
	}()
	get := make(chan []byte)
	go func() {
		got, err := io.ReadAll(out)
		if err != nil {
			t.Error(err)
		}
		get <- got
	}()
	want, r := data, io.Reader(source)
	if limit >= 0 {
		want, r = data[:limit], io.LimitReader(source, limit)
	}
	if n, err := io.Copy(target, r); n != int64(len(want)) || err != nil {
		t.Errorf("%s, limit %d: %d copied, %v", what, limit, n, err)
	}
	target.Close()
	wantBytes(t, what, <-get, want)
	source.Close()
}

// A deadline of either connection ends a copy, and what came before it is passed on.
func TestCopyBetweenStdAndConnIgnoresDeadline(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		defer dropPipes(t)()
		ours := worldOf(d)
		for what, worlds := range map[string][2]world{"std to eddy": {stdWorld, ours}, "eddy to std": {ours, stdWorld}} {
			in, source := worlds[0].connect(t, "tcp")
			target, out := worlds[1].connect(t, "tcp")
			mustWrite(t, in, []byte("before"))
			source.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			within(t, patience, what+", whose source has a deadline", func() {
				n, err := io.Copy(target, source)
				wantTimeout(t, what, err)
				if n != 6 {
					t.Errorf("%s: %d bytes copied", what, n)
				}
			})
			mustRead(t, out, "before")
			source.SetReadDeadline(time.Time{})
			target.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			go in.Write(make([]byte, 32<<20))
			within(t, patience, what+", whose target has a deadline", func() {
				_, err := io.Copy(target, source)
				wantTimeout(t, what, err)
			})
			for _, c := range []net.Conn{in, source, target, out} {
				c.Close()
			}
		}
	})
}

// counting is a connection that does more than read.
type counting struct {
	*net.TCPConn
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.n += n
	return n, err
}

// A type that embeds a connection of package net does its own reading.
func TestCopyBypassesAWrapper(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		in, source := stdWorld.connect(t, "tcp")
		target, out := worldOf(d).connect(t, "tcp")
		mustWrite(t, in, []byte("some"))
		counted := &counting{TCPConn: source.(*net.TCPConn)}
		if n, err := io.CopyN(target, counted, 4); n != 4 || err != nil || counted.n != 4 {
			t.Errorf("%d, %v; the wrapper was asked for %d", n, err, counted.n)
		}
		mustRead(t, out, "some")
	})
}
