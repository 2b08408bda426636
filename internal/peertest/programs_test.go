package peertest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/eddyio/eddy"
)

// files are served to programs.
func files(t *testing.T) (dir string, big []byte) {
	dir = t.TempDir()
	big = bytes.Repeat([]byte("a line of a file that is served\n"), 1<<17)
	for name, data := range map[string][]byte{"big": big, "small": []byte("hello\n"), "empty": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, big
}

func run(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func TestCurlGetsOtherBytes(t *testing.T) {
	curl := need(t, "curl")
	dir, big := files(t)
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.FileServer(http.Dir(dir)), nil)
		for name, want := range map[string][]byte{"big": big, "small": []byte("hello\n"), "empty": nil} {
			for _, flag := range []string{"--http1.0", "--http1.1"} {
				if got := run(t, curl, "-sSf", flag, url+"/"+name); !bytes.Equal(got, want) {
					t.Errorf("%s of %s: %d bytes, not %d", flag, name, len(got), len(want))
				}
			}
		}
		if got := run(t, curl, "-sSf", "-r", "100-199", url+"/big"); !bytes.Equal(got, big[100:200]) {
			t.Errorf("a range: %q", got)
		}
		// One connection for all, and an upload with Expect: 100-continue.
		out := run(t, curl, "-sS", "-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null", url+"/small", "-o", "/dev/null", url+"/none")
		if string(out) != "200 1\n404 0\n" {
			t.Errorf("two requests: %q", out)
		}
	})
}

func TestCurlUploadsOtherBytes(t *testing.T) {
	curl := need(t, "curl")
	dir, big := files(t)
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		sum := sha256.New()
		_, url := serve(t, d, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body bytes.Buffer
			body.ReadFrom(r.Body)
			sum.Write(body.Bytes())
			fmt.Fprintf(w, "%s", hex.EncodeToString(sum.Sum(nil)))
		}), nil)
		want := sha256.Sum256(big)
		if got := run(t, curl, "-sSf", "-H", "Expect: 100-continue", "-T", filepath.Join(dir, "big"), url); string(got) != hex.EncodeToString(want[:]) {
			t.Errorf("another sum: %s", got)
		}
	})
}

var requestsOfH2load = regexp.MustCompile(`requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed`)

func TestH2loadSeesFailures(t *testing.T) {
	h2load := need(t, "h2load")
	dir, _ := files(t)
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.FileServer(http.Dir(dir)), nil)
		out := run(t, h2load, "--h1", "-n", "2000", "-c", "64", url+"/small")
		if found := requestsOfH2load.FindSubmatch(out); found == nil || string(found[2]) != "2000" || string(found[3]) != "0" {
			t.Errorf("%s", out)
		}
		out = run(t, h2load, "--h1", "-n", "40", "-c", "8", url+"/big")
		if found := requestsOfH2load.FindSubmatch(out); found == nil || string(found[2]) != "40" {
			t.Errorf("%s", out)
		}
	})
}

func TestWrkSeesFailures(t *testing.T) {
	wrk := need(t, "wrk")
	dir, _ := files(t)
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		_, url := serve(t, d, http.FileServer(http.Dir(dir)), nil)
		out := string(run(t, wrk, "-t", "1", "-c", "64", "-d", "1s", url+"/small"))
		if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, "requests in") {
			t.Errorf("%s", out)
		}
	})
}

func TestRedisLosesReplies(t *testing.T) {
	program := need(t, "redis-server")
	dir, err := os.MkdirTemp("", "eddy")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	free.Close()
	server := exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--unixsocket", socket,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		server.Process.Kill()
		server.Wait()
	}()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			break
		}
		if time.Since(begun) > patience {
			t.Fatal(err)
		}
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, to := range [][2]string{{"tcp", address}, {"unix", socket}} {
			dialed := 0
			var mu sync.Mutex
			c := redis.NewClient(&redis.Options{
				Network: to[0],
				Addr:    to[1],
				Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
					mu.Lock()
					dialed++
					mu.Unlock()
					conn, err := d.Dial(ctx, network, address)
					if err != nil {
						return nil, err
					}
					return conn, nil
				},
			})
			useRedis(t, c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if dialed == 0 {
				t.Error("eddy was not asked for a connection")
			}
		}
	})
}

func useRedis(t *testing.T, c *redis.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var users sync.WaitGroup
	for g := range 16 {
		users.Go(func() {
			for i := range 50 {
				key, value := fmt.Sprint("k", g), strings.Repeat(fmt.Sprint(i), 1+i*100)
				if err := c.Set(ctx, key, value, 0).Err(); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.Get(ctx, key).Result(); err != nil || got != value {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
	}
	users.Wait()
	pipe := c.Pipeline()
	for i := range 1000 {
		pipe.Set(ctx, fmt.Sprint("p", i), i, 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Error(err)
	}
	// A subscriber waits for long, and a command that blocks has a deadline.
	subscriber := c.Subscribe(ctx, "news")
	defer subscriber.Close()
	if _, err := subscriber.Receive(ctx); err != nil {
		t.Error(err)
	}
	c.Publish(ctx, "news", "hello")
	if m, err := subscriber.ReceiveMessage(ctx); err != nil || m.Payload != "hello" {
		t.Errorf("%v, %v", m, err)
	}
	if err := c.BLPop(ctx, 100*time.Millisecond, "nothing").Err(); err != redis.Nil {
		t.Errorf("BLPOP: %v", err)
	}
}
