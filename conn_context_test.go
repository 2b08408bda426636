package eddy_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// wantContextError fails the test if the error is not the context's, as package
// net would dress it.
func wantContextError(t testing.TB, what string, err, want error) {
	t.Helper()
	var op *net.OpError
	if !errors.Is(err, want) || !errors.As(err, &op) || op.Addr == nil {
		t.Errorf("%s: %v, not a *net.OpError with %v", what, err, want)
	}
}

func TestConnIgnoresEndedContext(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		mustWrite(t, client, []byte("kept"))
		within(t, patience, "a call whose context has ended", func() {
			n, err := server.ReadContext(canceled(), make([]byte, 4))
			wantContextError(t, "ReadContext", err, context.Canceled)
			if n != 0 {
				t.Errorf("%d bytes read", n)
			}
			n, err = server.WriteContext(canceled(), make([]byte, 4))
			wantContextError(t, "WriteContext", err, context.Canceled)
			if n != 0 {
				t.Errorf("%d bytes written", n)
			}
			expired, cancel := context.WithDeadline(context.Background(), past)
			defer cancel()
			_, err = server.ReadContext(expired, make([]byte, 4))
			wantContextError(t, "ReadContext", err, context.DeadlineExceeded)
		})
		mustRead(t, server, "kept")
	})
}

func TestContextDoesNotEndRead(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		for range 5 {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(10*time.Millisecond, cancel)
			within(t, patience, "ReadContext", func() {
				n, err := server.ReadContext(ctx, make([]byte, 4))
				wantContextError(t, "ReadContext", err, context.Canceled)
				if n != 0 {
					t.Errorf("%d bytes read", n)
				}
			})
			mustWrite(t, client, []byte("next"))
			mustRead(t, server, "next")
		}
	})
}

func TestCanceledWriteMiscounts(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		data := pattern(overfull(t, client, server))
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		within(t, patience, "WriteContext", func() {
			n, err := client.WriteContext(ctx, data)
			wantContextError(t, "WriteContext", err, context.DeadlineExceeded)
			if n <= 0 || n >= len(data) {
				t.Errorf("%d bytes written", n)
			}
			m, err := client.WriteContext(canceled(), data[n:])
			wantContextError(t, "WriteContext", err, context.Canceled)
			if m != 0 {
				t.Errorf("%d bytes written", m)
			}
			go func() {
				mustWrite(t, client, data[n:])
				client.CloseWrite()
			}()
			got, err := io.ReadAll(server)
			if err != nil || string(got) != string(data) {
				t.Errorf("%d bytes arrived, %v, or others than those sent", len(got), err)
			}
		})
	})
}

// Whichever ends first is the reason; the other goes on to hold.
func TestConnConfusesContextAndDeadline(t *testing.T) {
	eachPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		within(t, patience, "a call with a context and a deadline", func() {
			server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			_, err := server.ReadContext(ctx, make([]byte, 1))
			wantTimeout(t, "ReadContext past the deadline", err)
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the context has not ended: %v", err)
			}
			cancel()

			server.SetReadDeadline(time.Now().Add(time.Hour))
			ctx, cancel = context.WithTimeout(context.Background(), 10*time.Millisecond)
			_, err = server.ReadContext(ctx, make([]byte, 1))
			wantContextError(t, "ReadContext", err, context.DeadlineExceeded)
			cancel()

			// The deadline was not lost over it.
			server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, err = server.Read(make([]byte, 1))
			wantTimeout(t, "Read", err)

			// One set while a context's call waits holds after it, too.
			server.SetReadDeadline(time.Time{})
			ctx, cancel = context.WithCancel(context.Background())
			time.AfterFunc(10*time.Millisecond, func() {
				server.SetReadDeadline(time.Now().Add(time.Hour))
				server.SetReadDeadline(time.Time{})
				cancel()
			})
			_, err = server.ReadContext(ctx, make([]byte, 1))
			wantContextError(t, "ReadContext", err, context.Canceled)
			mustWrite(t, client, []byte("x"))
			mustRead(t, server, "x")
		})
	})
}

// A context that ends at the very moment its call does must not end the next.
func TestStaleInterruptionEndsTheNextCall(t *testing.T) {
	rounds := 2000
	if long {
		rounds = 30_000
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, server := connect(t, d, "tcp")
		p := make([]byte, 1)
		hits := 0
		for i := range rounds {
			ctx, cancel := context.WithCancel(context.Background())
			var wait sync.WaitGroup
			wait.Go(func() {
				spin(i % 64)
				cancel()
			})
			mustWrite(t, client, []byte{byte(i)})
			n, err := server.ReadContext(ctx, p)
			if err != nil {
				hits++
				if n != 0 {
					t.Fatalf("round %d: %d bytes with %v", i, n, err)
				}
				if n, err = server.Read(p); err != nil {
					t.Fatalf("round %d: the next Read: %v", i, err)
				}
			}
			if n != 1 || p[0] != byte(i) {
				t.Fatalf("round %d: %d bytes, %d", i, n, p[0])
			}
			if n, err := server.WriteContext(ctx, p); err != nil && n != 0 {
				t.Fatalf("round %d: %d bytes written with %v", i, n, err)
			} else if err == nil {
				mustRead(t, client, string(p))
			}
			mustWrite(t, server, p)
			mustRead(t, client, string(p))
			wait.Wait()
			cancel()
		}
		t.Logf("%d of %d contexts ended before the call", hits, rounds)
	})
}

var spinSink uint64

func spin(n int) {
	for range n * 50 {
		spinSink += rand.Uint64() & 1
	}
}

// Nothing is lost where reads are cancelled all the time.
func TestCancellationLosesBytes(t *testing.T) {
	eachStreamPair(t, func(t *testing.T, _ string, client, server *eddy.Conn) {
		data := pattern(1 << 20)
		var writer sync.WaitGroup
		writer.Go(func() {
			random := rand.New(rand.NewPCG(1, 2))
			for sent := 0; sent < len(data); {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(200))*time.Microsecond)
				n, err := client.WriteContext(ctx, data[sent:min(len(data), sent+random.IntN(100_000))])
				cancel()
				sent += n
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
					break
				}
			}
			client.CloseWrite()
		})
		random := rand.New(rand.NewPCG(3, 4))
		var got []byte
		p := make([]byte, 64<<10)
		for {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(200))*time.Microsecond)
			n, err := server.ReadContext(ctx, p[:1+random.IntN(len(p)-1)])
			cancel()
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil && (!errors.Is(err, context.DeadlineExceeded) || n != 0) {
				t.Fatal(n, err)
			}
		}
		writer.Wait()
		if string(got) != string(data) {
			t.Errorf("%d bytes arrived, not the %d sent, or others", len(got), len(data))
		}
	})
}

// A call with a context that waits for its turn ends with it, too.
func TestContextWaitsForAnotherCall(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		var others sync.WaitGroup
		fill(t, client)
		others.Go(func() { mustRead(t, client, "x") })
		others.Go(func() { client.Write(tooMuch(network)) })
		time.Sleep(10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		ended := make(chan bool)
		go func() {
			_, err := client.ReadContext(ctx, make([]byte, 1))
			wantContextError(t, "ReadContext behind a Read", err, context.DeadlineExceeded)
			_, err = client.WriteContext(ctx, make([]byte, 1))
			wantContextError(t, "WriteContext behind a Write", err, context.DeadlineExceeded)
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(patience / 10):
			t.Errorf("a call with a context waits for others, though it has ended")
		}
		mustWrite(t, server, []byte("x"))
		client.SetWriteDeadline(past)
		others.Wait()
		<-ended
	})
}

// A context ends the call it was given to, and not somebody else's.
func TestContextEndsAnotherCall(t *testing.T) {
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		read := make(chan error)
		go func() {
			_, err := server.Read(make([]byte, 1))
			read <- err
		}()
		var others sync.WaitGroup
		for range 20 {
			others.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				defer cancel()
				server.ReadContext(ctx, make([]byte, 1))
			})
		}
		time.Sleep(20 * time.Millisecond)
		// On a busy machine one of the others may be late enough to get a byte.
		for done := false; !done; {
			mustWrite(t, client, make([]byte, 1))
			select {
			case err := <-read:
				if err != nil {
					t.Errorf("Read: %v", err)
				}
				done = true
			case <-time.After(50 * time.Millisecond):
			}
		}
		server.SetReadDeadline(past)
		others.Wait()
	})
}

// Whoever gives up waiting for its turn leaves nothing behind, though the one
// whose turn it is stays for long.
func TestAbandonedWaitLeavesAGoroutine(t *testing.T) {
	const waits, few = 200, 10
	abandon := func(t *testing.T, what string, call func(ctx context.Context) error) {
		t.Helper()
		before := runtime.NumGoroutine()
		var wait sync.WaitGroup
		for range waits / 10 {
			for range 10 {
				wait.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond)
					defer cancel()
					if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			wait.Wait()
		}
		becomes(t, what+": hardly more goroutines than before", func() bool { return runtime.NumGoroutine() < before+few })
	}
	eachPair(t, func(t *testing.T, network string, client, server *eddy.Conn) {
		fill(t, client)
		var others sync.WaitGroup
		others.Go(func() { mustRead(t, client, "x") })
		others.Go(func() { client.Write(tooMuch(network)) })
		time.Sleep(10 * time.Millisecond)
		abandon(t, "ReadContext", func(ctx context.Context) error {
			_, err := client.ReadContext(ctx, make([]byte, 1))
			return err
		})
		abandon(t, "WriteContext", func(ctx context.Context) error {
			_, err := client.WriteContext(ctx, make([]byte, 1))
			return err
		})
		mustWrite(t, server, []byte("x"))
		client.SetWriteDeadline(past)
		others.Wait()
	})
}

// Those who wait for their turn with a context, and those without, have it one
// after the other, whoever of them gives up.
func TestTurnIsLostWithWhoWaitsForIt(t *testing.T) {
	const readers, rounds = 8, 50
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, server := connect(t, d, "tcp")
		var wait sync.WaitGroup
		var got atomic.Int64
		for reader := range readers {
			wait.Go(func() {
				random := rand.New(rand.NewPCG(uint64(reader), 9))
				for range rounds {
					ctx, cancel := context.Background(), context.CancelFunc(func() {})
					if reader > 0 { // one has all the time there is
						ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(300))*time.Microsecond)
					}
					n, err := server.ReadContext(ctx, make([]byte, 1))
					cancel()
					got.Add(int64(n))
					if (n == 0) != (err != nil) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%d, %v", n, err)
					}
				}
			})
		}
		done := make(chan bool)
		go func() { wait.Wait(); close(done) }()
		sent := int64(0)
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Microsecond) {
			select {
			case <-done:
				client.CloseWrite()
				rest, err := io.ReadAll(server)
				if total := got.Load() + int64(len(rest)); err != nil || total != sent {
					t.Errorf("%d of %d bytes have been read, %v", total, sent, err)
				}
				return
			default:
			}
			if time.Now().After(end) {
				t.Fatal("readers hang, though there is something to read")
			}
			mustWrite(t, client, []byte("x"))
			sent++
		}
	})
}
