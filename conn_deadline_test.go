package eddy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// wantTimeout fails the test if the error is not what std says past a deadline.
func wantTimeout(t testing.TB, what string, err error) {
	t.Helper()
	if !isTimeout(err) {
		t.Errorf("%s: %v, which is no timeout", what, err)
	}
}

var past = time.Unix(1, 0)

func TestPastDeadlineIsIgnored(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		for _, at := range []time.Time{past, time.Now().Add(-time.Hour), time.Now()} {
			within(t, patience, "a call past its deadline", func() {
				mustWrite(t, client, []byte("x")) // past the deadline even that is not read
				server.SetDeadline(at)
				n, err := server.Read(make([]byte, 1))
				if n != 0 {
					t.Errorf("%d bytes read past the deadline", n)
				}
				wantTimeout(t, "Read", err)
				n, err = server.Write([]byte("x"))
				if n != 0 {
					t.Errorf("%d bytes written past the deadline", n)
				}
				wantTimeout(t, "Write", err)
				_, err = server.Write(nil)
				wantTimeout(t, "Write of nothing", err)
				server.SetDeadline(time.Time{})
				mustRead(t, server, "x")
				mustWrite(t, server, []byte("y"))
				mustRead(t, client, "y")
			})
		}
	})
}

func TestDeadlineSetDuringReadIsIgnored(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		for _, left := range []time.Duration{-time.Second, 0, 10 * time.Millisecond} {
			within(t, patience, "a Read that got a deadline", func() {
				time.AfterFunc(20*time.Millisecond, func() { server.SetReadDeadline(time.Now().Add(left)) })
				_, err := server.Read(make([]byte, 1))
				wantTimeout(t, "Read", err)
				_, err = server.Read(make([]byte, 1))
				wantTimeout(t, "another Read", err)
				server.SetReadDeadline(time.Time{})
				mustWrite(t, client, []byte("on"))
				mustRead(t, server, "on")
			})
		}
	})
}

func TestDeadlineSetDuringWriteIsIgnored(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		within(t, patience, "a Write that got a deadline", func() {
			filled := fill(t, client)
			time.AfterFunc(20*time.Millisecond, func() { client.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) })
			n, err := client.Write(tooMuch(network))
			wantTimeout(t, "Write", err)
			client.SetWriteDeadline(time.Time{})
			if isStream(network) {
				go func() {
					mustWrite(t, client, []byte("last"))
					client.CloseWrite()
				}()
				got, err := io.ReadAll(server)
				if want := filled + n + 4; len(got) != want || err != nil {
					t.Errorf("%d bytes arrived, %v; %d were sent", len(got), err, want)
				}
			}
		})
	})
}

// What a Write that ends past its deadline says it has taken is what arrives.
func TestTimedOutWriteMiscounts(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		within(t, patience, "a Write with a deadline", func() {
			data := pattern(overfull(t, client, server))
			client.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			n, err := client.Write(data)
			wantTimeout(t, "Write", err)
			if n <= 0 || n >= len(data) {
				t.Errorf("%d bytes written", n)
			}
			client.Close()
			got, err := io.ReadAll(server)
			if len(got) != n || err != nil || string(got) != string(data[:n]) {
				t.Errorf("%d bytes arrived, %v; %d were written", len(got), err, n)
			}
		})
	})
}

func TestTimeoutSpoilsTheConnection(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		for range 20 {
			server.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := server.Read(make([]byte, 1))
			wantTimeout(t, "Read", err)
			server.SetReadDeadline(time.Now().Add(patience))
			mustWrite(t, client, []byte("ping"))
			mustRead(t, server, "ping")
		}
	})
}

// A deadline that is moved on with every message is never met, though the first
// one's time passes many times over.
func TestRenewedDeadlineExpires(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		left := 50 * time.Millisecond
		if testing.Short() {
			left /= 2
		}
		end := time.Now().Add(3 * left)
		for time.Now().Before(end) {
			// A stop of the whole process must not look like a bug.
			before := time.Now()
			server.SetReadDeadline(before.Add(left))
			mustWrite(t, client, []byte("x"))
			_, err := server.Read(make([]byte, 1))
			if err != nil && time.Since(before) < left {
				t.Fatalf("after %v: %v", time.Since(before), err)
			}
			if err != nil {
				server.SetReadDeadline(time.Time{})
				mustRead(t, server, "x")
			}
			time.Sleep(time.Millisecond)
		}
		// An earlier one holds, too, though a later one's timer is running.
		server.SetReadDeadline(time.Time{})
		time.Sleep(left + 50*time.Millisecond) // no timer runs any more
		server.SetReadDeadline(time.Now().Add(time.Hour))
		server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		within(t, patience, "a Read whose deadline was moved to an earlier time", func() {
			_, err := server.Read(make([]byte, 1))
			wantTimeout(t, "Read", err)
		})
	})
}

func TestDeadlineOfOneSideEndsTheOther(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		server.SetReadDeadline(past)
		mustWrite(t, server, []byte("still"))
		mustRead(t, client, "still")
		server.SetReadDeadline(time.Time{})
		server.SetWriteDeadline(past)
		mustWrite(t, client, []byte("reads"))
		mustRead(t, server, "reads")
	})
}

func TestDeadlinesSetByManyGetLost(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		var setters, reader sync.WaitGroup
		stop := make(chan bool)
		timeouts := 0
		reader.Go(func() {
			p := make([]byte, 1)
			for {
				if _, err := server.Read(p); err == io.EOF {
					return
				} else if err != nil {
					timeouts++
				}
				select {
				case <-stop: // not before a Read: the setters may have been faster
					return
				default:
				}
			}
		})
		for g := range 8 {
			setters.Go(func() {
				for i := range 300 {
					server.SetDeadline(time.Now().Add(time.Duration((g*i)%5-2) * 100 * time.Microsecond))
				}
			})
		}
		setters.Wait()
		close(stop)
		server.SetDeadline(past)
		within(t, patience, "a Read past the last of many deadlines", reader.Wait)
		if timeouts == 0 {
			t.Error("none of the deadlines was met")
		}
		server.SetDeadline(time.Time{})
		mustWrite(t, client, []byte("on"))
		mustRead(t, server, "on")
	})
}

func TestAcceptIgnoresDeadline(t *testing.T) {
	eachNetwork(t, func(t *testing.T, d *eddy.Driver, network string) {
		l := listen(t, d, network)
		within(t, patience, "an Accept with a deadline", func() {
			l.SetDeadline(past)
			_, err := l.Accept()
			wantTimeout(t, "Accept past the deadline", err)
			l.SetDeadline(time.Time{})
			time.AfterFunc(20*time.Millisecond, func() { l.SetDeadline(time.Now().Add(10 * time.Millisecond)) })
			_, err = l.Accept()
			wantTimeout(t, "Accept that got a deadline", err)
		})
		l.SetDeadline(time.Time{})
		dial(t, d, l.Addr())
		accept(t, l)
	})
}

func TestDialIgnoresItsContext(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l := listen(t, d, "tcp")
		if _, err := d.Dial(canceled(), "tcp", l.Addr().String()); err == nil {
			t.Error("a Dial whose context had ended succeeded")
		}
		ctx, cancel := context.WithDeadline(context.Background(), past)
		defer cancel()
		_, err := d.Dial(ctx, "tcp", l.Addr().String())
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a Dial past its deadline: %v", err)
		}
	})
}
