package peertest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eddyio/eddy"
)

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Proto", r.Proto)
	body, err := io.ReadAll(r.Body) // before a reply begins, as HTTP/1.1 has it
	if err != nil {
		return
	}
	w.Write(body)
}

// talk sends requests of many sizes from several goroutines.
func talk(t *testing.T, c *http.Client, url, proto string) {
	t.Helper()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for _, size := range []int{0, 1, 1000, 100_000, 2 << 20} {
				body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				r, err := c.Post(url, "application/octet-stream", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || !bytes.Equal(got, body) || r.Header.Get("Proto") != proto {
					t.Errorf("%d bytes by %s, not %d by %s: %v", len(got), r.Header.Get("Proto"), size, proto, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

func TestHTTPLosesBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.HandlerFunc(echo), nil)
		talk(t, client(t, d, nil), url, "HTTP/1.1")
	})
}

func TestHTTP2LosesBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		own, pool := certificate(t)
		_, url := serve(t, d, http.HandlerFunc(echo), &tls.Config{Certificates: []tls.Certificate{own}})
		talk(t, client(t, d, pool), url, "HTTP/2.0")
	})
}

func TestFileServerLosesBytes(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("some bytes "), 1<<18)
	if err := os.WriteFile(filepath.Join(dir, "file"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.FileServer(http.Dir(dir)), nil)
		c := client(t, d, nil)
		for _, span := range [][2]int{{0, len(data)}, {5, 6}, {1000, 1 << 20}, {len(data) - 1, len(data)}} {
			request, err := http.NewRequest("GET", url+"/file", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", span[0], span[1]-1))
			r, err := c.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || r.StatusCode != http.StatusPartialContent || !bytes.Equal(got, data[span[0]:span[1]]) {
				t.Errorf("%v: %s, %d bytes, %v", span, r.Status, len(got), err)
			}
		}
	})
}

// A reply of HTTP/1.0 ends with the connection.
func TestOldReplyHasNoEnd(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		big := bytes.Repeat([]byte("x"), 8<<20)
		_, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(big) }), nil)
		c, err := d.Dial(context.Background(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET / HTTP/1.0\r\n\r\n")
		reply, err := io.ReadAll(c)
		if err != nil || !bytes.HasSuffix(reply, big) {
			t.Errorf("%d bytes, %v", len(reply), err)
		}
	})
}

func TestHijackLosesBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, both, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, ok := c.(*eddy.Conn); !ok {
				t.Errorf("hijacked a %T", c)
			}
			fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, err := both.ReadString('\n')
			if err != nil {
				t.Error(err)
			}
			io.WriteString(c, line)
		}), nil)
		c, err := d.Dial(context.Background(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		// What follows the request at once must not be lost.
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
		reply, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(reply), "\r\n\r\nhello\n") {
			t.Errorf("%q, %v", reply, err)
		}
	})
}

func TestWebSocketLosesMessages(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			c.SetReadLimit(1 << 20)
			for {
				kind, data, err := c.Read(r.Context())
				if err != nil {
					return
				}
				if err := c.Write(r.Context(), kind, data); err != nil {
					t.Error(err)
					return
				}
			}
		}), nil)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client(t, d, nil)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for i := range 200 {
			message := bytes.Repeat([]byte{byte(i)}, i*i)
			if err := c.Write(ctx, websocket.MessageBinary, message); err != nil {
				t.Fatal(err)
			}
			_, got, err := c.Read(ctx)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
			}
		}
		// A read that is given up closes a WebSocket; it must not hang.
		short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
		defer stop()
		if _, _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Read whose context ends: %v", err)
		}
	})
}

func TestServerSentEventsAreLate(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		proceed := make(chan bool)
		gone := make(chan error, 1)
		_, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 5 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				<-proceed
			}
			<-r.Context().Done() // the client leaves
			gone <- r.Context().Err()
		}), nil)
		r, err := client(t, d, nil).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(r.Body)
		for i := range 5 {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() {
				t.Fatalf("event %d: %q, %v", i, lines.Text(), lines.Err())
			}
			proceed <- true // each event is here before the next is sent
		}
		r.Body.Close()
		select {
		case <-gone:
		case <-time.After(patience):
			t.Error("the server does not notice that its client has left")
		}
	})
}

func TestServerShutdownDropsARequest(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		started := make(chan bool)
		server, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				close(started)
				time.Sleep(100 * time.Millisecond)
			}
			io.WriteString(w, "done")
		}), nil)
		c := client(t, d, nil)
		idle, err := c.Get(url + "/")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, idle.Body)
		idle.Body.Close()
		reply := make(chan error, 1)
		go func() {
			r, err := c.Get(url + "/slow")
			if err == nil {
				var body []byte
				if body, err = io.ReadAll(r.Body); string(body) != "done" {
					err = fmt.Errorf("%q, %w", body, err)
				}
			}
			reply <- err
		}()
		<-started
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-reply; err != nil {
			t.Errorf("the request under way: %v", err)
		}
		if _, err := c.Get(url + "/"); err == nil {
			t.Error("a request after Shutdown is answered")
		}
	})
}

func TestCanceledRequestGoesOn(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		ended := make(chan bool, 1)
		_, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				return
			}
			<-r.Context().Done()
			ended <- true
		}), nil)
		c := client(t, d, nil)
		for range 10 {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			request, err := http.NewRequestWithContext(ctx, "GET", url+"/wait", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Do(request); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("a request that is cancelled: %v", err)
			}
			cancel()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("the handler's context does not end")
			}
			if r, err := c.Get(url + "/"); err != nil {
				t.Fatal(err)
			} else {
				r.Body.Close()
			}
		}
	})
}

func TestServerTimeoutsAreIgnored(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		l := listen(t, d)
		server := &http.Server{ReadHeaderTimeout: 30 * time.Millisecond, Handler: http.HandlerFunc(echo)}
		go server.Serve(l)
		defer server.Close()
		c, err := d.Dial(context.Background(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HT") // and no more
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("a client that sends half a request is not hung up on: %v", err)
		}
	})
}
