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

// eachListener runs the test on a listener of each network and backend.
func eachListener(t *testing.T, test func(t *testing.T, d *eddy.Driver, l *eddy.Listener)) {
	t.Helper()
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) { test(t, d, listen(t, d, network)) })
		}
	})
}

// mustAccept accepts one, and makes sure that it is the client's.
func mustAccept(t *testing.T, l *eddy.Listener, client *eddy.Conn) {
	t.Helper()
	within(t, patience, "AcceptContext", func() {
		c, err := l.AcceptContext(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		mustWrite(t, client, []byte("mine"))
		mustRead(t, c, "mine")
	})
}

func TestContextDoesNotEndAccept(t *testing.T) {
	eachListener(t, func(t *testing.T, d *eddy.Driver, l *eddy.Listener) {
		for range 5 {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(5*time.Millisecond, cancel)
			within(t, patience, "AcceptContext", func() {
				c, err := l.AcceptContext(ctx)
				wantContextError(t, "AcceptContext", err, context.Canceled)
				if c != nil {
					t.Error("there is a connection")
				}
			})
			client := dial(t, d, l.Addr())
			mustAccept(t, l, client)
			client.Close()
		}
	})
}

func TestListenerIgnoresEndedContext(t *testing.T) {
	eachListener(t, func(t *testing.T, d *eddy.Driver, l *eddy.Listener) {
		client := dial(t, d, l.Addr())
		defer client.Close()
		within(t, patience, "AcceptContext", func() {
			_, err := l.AcceptContext(canceled())
			wantContextError(t, "AcceptContext", err, context.Canceled)
		})
		mustAccept(t, l, client)
	})
}

// A context ends the call it was given to, whether it is the first to wait or
// not, and nobody else's; nor is the listener's deadline lost with it.
func TestContextEndsAnotherAccept(t *testing.T) {
	eachListener(t, func(t *testing.T, d *eddy.Driver, l *eddy.Listener) {
		accepted := make(chan error)
		accept := func() {
			c, err := l.Accept()
			if err == nil {
				c.Close()
			}
			accepted <- err
		}
		go accept()
		for range 20 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			within(t, patience, "AcceptContext", func() {
				_, err := l.AcceptContext(ctx)
				wantContextError(t, "AcceptContext", err, context.DeadlineExceeded)
			})
			cancel()
		}
		client := dial(t, d, l.Addr())
		defer client.Close()
		if err := <-accepted; err != nil {
			t.Errorf("Accept beside calls that were abandoned: %v", err)
		}
		l.SetDeadline(time.Now().Add(30 * time.Millisecond))
		_, err := l.AcceptContext(canceled())
		wantContextError(t, "AcceptContext", err, context.Canceled)
		go accept()
		wantTimeout(t, "Accept past the deadline", <-accepted)
		l.SetDeadline(time.Time{})
		go accept()
		time.Sleep(time.Millisecond)
		l.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept on a closed listener: %v", err)
		}
		if _, err := l.AcceptContext(canceled()); !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("AcceptContext on a closed listener: %v", err)
		}
	})
}

// Connections that come while calls of AcceptContext end are for the next calls.
func TestAbandonedAcceptLosesConnections(t *testing.T) {
	const clients, acceptors = 200, 3
	eachListener(t, func(t *testing.T, d *eddy.Driver, l *eddy.Listener) {
		over, done := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		for range acceptors {
			wait.Go(func() {
				for over.Err() == nil {
					ctx, cancel := context.WithTimeout(over, 100*time.Microsecond)
					c, err := l.AcceptContext(ctx)
					cancel()
					if err == nil {
						c.Write([]byte("x"))
						c.Close()
					} else if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			})
		}
		for range clients {
			c := dial(t, d, l.Addr())
			c.SetReadDeadline(time.Now().Add(patience))
			if got, err := io.ReadAll(c); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
			c.Close()
		}
		done()
		wait.Wait()
	})
}
