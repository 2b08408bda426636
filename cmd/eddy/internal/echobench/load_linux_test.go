package echobench

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// generate runs the load generator against a server that treats each connection with handle.
func generate(t *testing.T, work Work, handle func(net.Conn)) (string, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	work.Network = "tcp"
	order, err := json.Marshal(loadOrder{work, l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = Generate(strings.NewReader(string(order)+"\n"+askGo+"\n"), &out)
	return out.String(), err
}

var short = Work{Conns: 2, Size: 64, Depth: 1, Warmup: 10 * time.Millisecond, Length: 50 * time.Millisecond}

// TestWrongEchoIsFast: a server that does not send back what it got has not been measured.
func TestWrongEchoIsFast(t *testing.T) {
	for name, handle := range map[string]func(net.Conn){
		"the first reply for ever": func(c net.Conn) {
			var first [64]byte
			buf := make([]byte, 64)
			for i := 0; ; i++ {
				if n, _ := c.Read(buf); n == 0 {
					return
				}
				if i == 0 {
					copy(first[:], buf)
				}
				c.Write(first[:])
			}
		},
		"twice": func(c net.Conn) {
			buf := make([]byte, 64)
			for {
				n, _ := c.Read(buf)
				if n == 0 {
					return
				}
				c.Write(append(buf[:n:n], buf[:n]...))
			}
		},
		"hangs up": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 64))
			c.Close()
		},
	} {
		for _, rate := range []int{0, 1000} {
			work := short
			work.Rate = rate
			if out, err := generate(t, work, handle); err == nil {
				t.Errorf("%s, rate %d: %s", name, rate, out)
			}
		}
	}
}

// TestSlowServerLooksFast: what an open loop could not send, or did not get back, was slow and not absent.
func TestSlowServerLooksFast(t *testing.T) {
	work := short
	work.Conns, work.Rate, work.Length = 1, 100, 300*time.Millisecond
	out, err := generate(t, work, func(c net.Conn) {
		for buf := make([]byte, 64); ; {
			if n, _ := c.Read(buf); n == 0 {
				return
			}
			time.Sleep(400 * time.Millisecond)
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r := lastLine(t, out)
	if r.Late < 20 || r.Late+r.Requests < 30 || r.P50 < 500e3 {
		t.Errorf("%+v", r)
	}
}

// lastLine is the result in what Generate wrote.
func lastLine(t *testing.T, out string) (r loadResult) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRateCountsBatches: the rate is of requests, whether they are sent one by one or several at a time.
func TestRateCountsBatches(t *testing.T) {
	for _, depth := range []int{1, 7} {
		work := short
		work.Depth, work.Rate, work.Warmup, work.Length = depth, 2100, 0, 300*time.Millisecond
		out, err := generate(t, work, func(c net.Conn) { echo(c, 4096) })
		if err != nil {
			t.Fatal(err)
		}
		if r := lastLine(t, out); r.Requests+r.Late < 630 || r.Requests+r.Late > 630+int64(depth) {
			t.Errorf("%d at a time: %+v, want 630 requests", depth, r)
		}
		// And those that are not answered.
		out, err = generate(t, work, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		if err != nil {
			t.Fatal(err)
		}
		if r := lastLine(t, out); r.Requests != 0 || r.Late < 630 || r.Late > 630+int64(depth) {
			t.Errorf("%d at a time: %+v, want 630 late requests", depth, r)
		}
	}
}

// TestLongOpenLoopOverflows: an hour at the highest rate is more than 63 bits of nanoseconds times requests.
func TestLongOpenLoopOverflows(t *testing.T) {
	s := schedule{start: 5, rate: 10_000_000, depth: 1, batches: 36_000_000_000}
	if got, want := s.next(), int64(time.Hour)+5; got != want {
		t.Errorf("%d, want %d", got, want)
	}
	s = schedule{rate: 3, depth: 2, batches: 2}
	if got := s.next(); got != 1333333333 {
		t.Errorf("%d", got)
	}
}

// TestStuckConnectionIsUnseen: in a closed loop a connection that is never served has no latency to record.
func TestStuckConnectionIsUnseen(t *testing.T) {
	out, err := generate(t, short, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	if err != nil {
		t.Fatal(err)
	}
	r := lastLine(t, out)
	if r.Requests != 0 || r.Worst < 50e3 {
		t.Errorf("%+v", r)
	}
}

func TestQueueForgets(t *testing.T) {
	q := newQueue(3)
	for round := range 5 {
		for i := range 3 {
			q.push(10*round + i)
		}
		for i := range 3 {
			if got := q.pop(); got != 10*round+i {
				t.Fatalf("round %d: %d, want %d", round, got, 10*round+i)
			}
		}
	}
	if q.len() != 0 {
		t.Error(q.len())
	}
}
