package eddy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

func TestCloseLeavesSomebodyInACall(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		fill(t, client)
		var calls sync.WaitGroup
		check := func(what string, err error) {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s ended with %v", what, err)
			}
		}
		for range 3 { // one waits for data, and the others for their turn
			calls.Go(func() { _, err := client.Read(make([]byte, 1)); check("Read", err) })
			calls.Go(func() { _, err := client.Write(tooMuch(network)); check("Write", err) })
		}
		calls.Go(func() {
			_, err := client.ReadContext(context.Background(), make([]byte, 1))
			check("ReadContext", err)
		})
		calls.Go(func() { _, err := client.WriteTo(onlyWriter{io.Discard}); check("WriteTo", err) })
		calls.Go(func() {
			raw, err := client.SyscallConn()
			if err != nil {
				t.Error(err)
				return
			}
			check("raw Read", raw.Read(func(uintptr) bool { return false }))
		})
		time.Sleep(20 * time.Millisecond)
		within(t, patience, "Close", func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		})
		within(t, patience, "a call on a closed connection", calls.Wait)
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
	})
}

func TestCloseLeavesSomebodyInAccept(t *testing.T) {
	eachNetwork(t, func(t *testing.T, d *eddy.Driver, network string) {
		l := listen(t, d, network)
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept ended with %v", err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		within(t, patience, "Accept", calls.Wait)
	})
}

func TestCloseIsNotSeenByThePeer(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		go client.Read(make([]byte, 1)) // who must not keep the connection open
		time.Sleep(5 * time.Millisecond)
		client.Close()
		within(t, patience, "the peer's Read", func() {
			if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("the peer reads %d, %v", n, err)
			}
		})
	})
}

func TestDataIsLostOnClose(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		const size = 1 << 20
		got := make(chan int)
		go func() {
			data, _ := io.ReadAll(server)
			got <- len(data)
		}()
		mustWrite(t, client, make([]byte, size))
		client.Close()
		if n := <-got; n != size {
			t.Errorf("%d bytes arrived of %d written before Close", n, size)
		}
	})
}

// abandon makes a connection whose end the caller gets, and drops it.
func abandon(t *testing.T, d *eddy.Driver, network string) (peer *eddy.Conn) {
	l := listen(t, d, network)
	c, err := d.Dial(context.Background(), l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer = accept(t, l)
	mustWrite(t, c, []byte("forgotten"))
	return peer
}

func TestForgottenConnStaysOpen(t *testing.T) {
	eachNetwork(t, func(t *testing.T, d *eddy.Driver, network string) {
		peer := abandon(t, d, network)
		mustRead(t, peer, "forgotten")
		stop := collect()
		defer stop()
		within(t, patience, "the peer of a connection that was forgotten", func() {
			if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the peer reads %v", err)
			}
		})
	})
}

// collect collects garbage until it is told to stop.
func collect() (stop func()) {
	end := make(chan bool)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				runtime.GC()
			}
		}
	})
	return func() {
		close(end)
		wait.Wait()
	}
}

// Who is inside a call of a connection that nobody else has keeps it open.
func TestConnIsCollectedDuringACall(t *testing.T) {
	eachNetwork(t, func(t *testing.T, d *eddy.Driver, network string) {
		var sent atomic.Bool
		for what, call := range map[string]func(c *eddy.Conn) error{
			"Read": func(c *eddy.Conn) error {
				_, err := c.Read(make([]byte, 4))
				return err
			},
			"ReadContext": func(c *eddy.Conn) error {
				_, err := c.ReadContext(context.Background(), make([]byte, 4))
				return err
			},
			"WriteTo": func(c *eddy.Conn) error {
				_, err := c.WriteTo(io.Discard)
				return err
			},
			"raw Read": func(c *eddy.Conn) error {
				raw, err := c.SyscallConn()
				if err != nil {
					return err
				}
				// The first event of a socket, that it can be written to, may be one call more.
				return raw.Read(func(uintptr) bool { return sent.Load() })
			},
		} {
			sent.Store(false)
			l := listen(t, d, network)
			ended := make(chan error)
			address := l.Addr()
			go func() {
				c, err := d.Dial(context.Background(), address.Network(), address.String())
				if err == nil {
					err = call(c)
				}
				ended <- err
			}()
			peer := accept(t, l)
			stop := collect()
			select {
			case err := <-ended:
				t.Errorf("%s: ended though nothing has happened: %v", what, err)
				stop()
				continue
			case <-time.After(50 * time.Millisecond):
			}
			sent.Store(true)
			mustWrite(t, peer, []byte("here"))
			peer.CloseWrite()
			within(t, patience, what, func() {
				if err := <-ended; err != nil {
					t.Errorf("%s: %v", what, err)
				}
				io.Copy(io.Discard, peer) // which ends when the connection is collected
			})
			stop()
			peer.Close()
			l.Close()
		}
	})
}

func TestForgottenListenerIsCollectedDuringAccept(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		addresses, accepted := make(chan net.Addr), make(chan error)
		go func() {
			l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				close(addresses)
				return
			}
			addresses <- l.Addr()
			c, err := l.Accept()
			if err == nil {
				c.Close()
			}
			accepted <- err
		}()
		address := <-addresses
		stop := collect()
		defer stop()
		time.Sleep(50 * time.Millisecond)
		dial(t, d, address)
		within(t, patience, "Accept", func() {
			if err := <-accepted; err != nil {
				t.Error(err)
			}
		})
		// After it, it is.
		becomes(t, "the listener is collected", func() bool {
			c, err := net.Dial("tcp", address.String())
			if err == nil {
				c.Close()
			}
			return err != nil
		})
	})
}
