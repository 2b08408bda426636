package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// endless is a reader that has nothing, and ends when it is closed.
type endless chan struct{}

func (e endless) Read([]byte) (int, error) {
	<-e
	return 0, io.EOF
}

// What ends with a context ends by itself, not with all that share its
// connection.
func TestContextEndsSomebodyElsesCall(t *testing.T) {
	brief := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		defer dropPipes(t)()
		t.Run("WriteTo", func(t *testing.T) {
			client, server := connect(t, d, "tcp")
			var got bytes.Buffer
			ended := make(chan error, 1)
			go func() {
				_, err := server.WriteTo(&got)
				ended <- err
			}()
			time.Sleep(10 * time.Millisecond)
			if _, err := server.ReadContext(brief(), make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ReadContext: %v", err)
			}
			mustWrite(t, client, []byte("hello"))
			client.CloseWrite()
			within(t, patience, "WriteTo", func() {
				if err := <-ended; err != nil || got.String() != "hello" {
					t.Errorf("WriteTo beside a read whose context ended: %q, %v", &got, err)
				}
			})
		})
		t.Run("ReadFrom", func(t *testing.T) {
			client, server := connect(t, d, "tcp")
			server.SetReadDeadline(timeout())
			big, end := tooMuch("tcp"), make(endless)
			ended := make(chan error, 1)
			go func() {
				_, err := client.ReadFrom(io.MultiReader(bytes.NewReader(big), end))
				ended <- err
			}()
			fill := make([]byte, 1<<20)
			if _, err := io.ReadFull(server, fill); err != nil { // it has begun
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			if _, err := client.WriteContext(brief(), []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("WriteContext: %v", err)
			}
			if n, err := io.CopyN(io.Discard, server, int64(len(big)-len(fill))); err != nil {
				t.Fatalf("after %d bytes: %v", n, err)
			}
			// Between its writes others have their turn.
			within(t, patience, "Write beside a ReadFrom that waits for its reader", func() {
				mustWrite(t, client, []byte("between"))
			})
			mustRead(t, server, "between")
			close(end)
			if err := <-ended; err != nil {
				t.Errorf("ReadFrom beside a write whose context ended: %v", err)
			}
		})
		t.Run("splice", func(t *testing.T) {
			in, source := connect(t, d, "tcp")
			target, out := connect(t, d, "tcp")
			out.SetReadDeadline(timeout())
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(target, source)
				ended <- err
			}()
			time.Sleep(10 * time.Millisecond)
			if _, err := source.ReadContext(brief(), make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ReadContext: %v", err)
			}
			mustWrite(t, in, []byte("hello"))
			in.CloseWrite()
			mustRead(t, out, "hello")
			if err := <-ended; err != nil {
				t.Errorf("a copy beside a read whose context ended: %v", err)
			}
		})
		t.Run("RawConn", func(t *testing.T) {
			client, server := connect(t, d, "tcp")
			raw, err := server.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			calls := 0
			go func() {
				ended <- raw.Read(func(uintptr) bool {
					calls++
					return calls == 2
				})
			}()
			time.Sleep(10 * time.Millisecond)
			if _, err := server.ReadContext(brief(), make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ReadContext: %v", err)
			}
			mustWrite(t, client, []byte("hello"))
			within(t, patience, "RawConn.Read", func() {
				if err := <-ended; err != nil || calls != 2 {
					t.Errorf("RawConn.Read beside a read whose context ended: %v after %d calls", err, calls)
				}
			})
			mustRead(t, server, "hello")
		})
	})
}

// A copy whose source has nothing is in nobody's way: what is written beside it
// is sent, or ended by the deadline and by Close.
func TestCopyThatWaitsForItsSourceHoldsUpWrites(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		defer dropPipes(t)()
		for what, reader := range map[string]func(c *eddy.Conn) io.Reader{
			"a connection":           func(c *eddy.Conn) io.Reader { return c },
			"a part of a connection": func(c *eddy.Conn) io.Reader { return io.LimitReader(c, 100) },
		} {
			t.Run(what, func(t *testing.T) {
				in, source := connect(t, d, "tcp")
				target, out := connect(t, d, "tcp")
				out.SetReadDeadline(timeout())
				ended := make(chan error, 1)
				go func() {
					_, err := target.ReadFrom(reader(source))
					ended <- err
				}()
				mustWrite(t, in, []byte("hello"))
				mustRead(t, out, "hello") // it waits for more
				time.Sleep(10 * time.Millisecond)
				within(t, patience/4, "Write beside a copy that waits for its source", func() {
					mustWrite(t, target, []byte("beside"))
				})
				mustRead(t, out, "beside")
				target.SetWriteDeadline(past)
				within(t, patience/4, "Write with a deadline, beside a copy that waits for its source", func() {
					_, err := target.Write([]byte("x"))
					wantTimeout(t, "Write", err)
				})
				target.SetWriteDeadline(time.Time{})
				within(t, patience/4, "Close beside a copy that waits for its source", func() { target.Close() })
				in.Close()
				within(t, patience/4, "the copy", func() { <-ended })
			})
		}
	})
}

func TestCopyFromNoConnPanics(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		client, _ := connect(t, d, "tcp")
		for _, r := range []io.Reader{(*eddy.Conn)(nil), new(eddy.Conn), (*eddy.File)(nil)} {
			if n, err := client.ReadFrom(r); n != 0 || err == nil {
				t.Errorf("from %T: %d, %v", r, n, err)
			}
			if n, err := client.ReadFrom(io.LimitReader(r, 10)); n != 0 || err == nil {
				t.Errorf("from part of %T: %d, %v", r, n, err)
			}
		}
		if n, err := client.WriteTo((*eddy.Conn)(nil)); n != 0 || !errors.Is(err, syscall.EINVAL) && !strings.Contains(err.Error(), "closed") {
			t.Errorf("to no connection: %d, %v", n, err)
		}
	})
}
