//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const secret = "what nobody may read"

// servedTree makes a directory with a file, a large file, and beside it a secret to which links lead.
func servedTree(t *testing.T) (dir string, large []byte) {
	t.Helper()
	top := t.TempDir()
	dir = makeDir(t, filepath.Join(top, "www"))
	makeDir(t, filepath.Join(dir, "sub"))
	large = make([]byte, 3<<20+12345)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range large {
		large[i] = byte(random.Uint32())
	}
	for name, data := range map[string][]byte{
		"www/hello.txt": []byte("hello, world"), "www/sub/in.txt": []byte("inside"), "www/large": large, "secret": []byte(secret),
	} {
		if err := os.WriteFile(filepath.Join(top, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"out": "../secret", "absolute": filepath.Join(top, "secret"), "up": "..", "within": "sub/in.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, large
}

func serve(t *testing.T, args ...string) *running {
	t.Helper()
	return startServer(t, append([]string{"serve", "--addr=127.0.0.1:0"}, args...)...)
}

// ask makes one request on a connection of its own.
func ask(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: commandTimeout}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v after %d bytes", method, url, err, len(body))
	}
	return resp, string(body)
}

func TestServeGivesWrongAnswer(t *testing.T) {
	dir, large := servedTree(t)
	for _, backend := range []string{"auto", "epoll", "portable"} {
		t.Run(backend, func(t *testing.T) {
			s := serve(t, "--backend="+backend, dir)
			modified := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
			for _, c := range []struct {
				method, path string
				header       []string
				code         int
				body         string
			}{
				{"GET", "hello.txt", nil, 200, "hello, world"},
				{"GET", "within", nil, 200, "inside"},
				{"GET", "large", nil, 200, string(large)},
				{"HEAD", "hello.txt", nil, 200, ""},
				{"GET", "hello.txt", []string{"Range", "bytes=7-11"}, 206, "world"},
				{"GET", "large", []string{"Range", "bytes=1000000-2999999"}, 206, string(large[1000000:3000000])},
				{"GET", "hello.txt", []string{"Range", "bytes=100-"}, 416, "invalid range: failed to overlap\n"},
				{"GET", "hello.txt", []string{"If-Modified-Since", modified}, 304, ""},
				{"GET", "nothing", nil, 404, "404 page not found\n"},
				{"GET", "hello.txt/below", nil, 404, "404 page not found\n"},
				{"GET", strings.Repeat("long", 100), nil, 404, "404 page not found\n"},
				{"POST", "hello.txt", nil, 405, "405 method not allowed\n"},
				{"DELETE", "hello.txt", nil, 405, "405 method not allowed\n"},
				{"GET", "fifo", nil, 403, "403 Forbidden\n"},
			} {
				resp, body := ask(t, c.method, s.first+c.path, c.header...)
				if resp.StatusCode != c.code || body != c.body {
					t.Errorf("%s %s %q: %d with %d bytes, want %d with %d", c.method, c.path, c.header, resp.StatusCode, len(body), c.code, len(c.body))
				}
				if c.method == "HEAD" && resp.ContentLength != int64(len("hello, world")) {
					t.Errorf("HEAD says %d bytes", resp.ContentLength)
				}
			}
			_, page := ask(t, "GET", s.first)
			wantText(t, page, `href="hello.txt"`, `href="sub/"`)
			s.end(t, syscall.SIGTERM, 0)
		})
	}
}

// raw sends a request line as it stands, which clients would clean up, and returns everything that comes back.
func raw(t *testing.T, url, target string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	return string(answer)
}

func TestServeLeavesItsDirectory(t *testing.T) {
	dir, _ := servedTree(t)
	s := serve(t, dir)
	for _, target := range []string{
		"/../secret", "/sub/../../secret", "/..%2fsecret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/sub/%2e%2e/%2e%2e/secret",
		"/..\\secret", "/..%5csecret", "//secret", "/./../secret", "../secret", "/out", "/absolute", "/up/secret", "/up/", "/up",
		"/out%00.txt", "/%00", "/" + filepath.Join(dir, "../secret"), "http://x/../secret", "/sub//..//..//secret", "/out/", "/out/..",
	} {
		answer := raw(t, s.first, target)
		if strings.Contains(answer, secret) || strings.Contains(answer, ">secret<") {
			t.Errorf("%q: %s", target, answer)
		}
		if !strings.HasPrefix(answer, "HTTP/1.1 ") || strings.HasPrefix(answer, "HTTP/1.1 500") {
			t.Errorf("%q: %.60q", target, answer)
		}
	}
	// A directory that is replaced by a link out of it while it is served.
	if err := os.RemoveAll(filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	if answer := raw(t, s.first, "/sub/secret"); !strings.HasPrefix(answer, "HTTP/1.1 404") {
		t.Errorf("after the swap: %s", answer)
	}
	s.end(t, syscall.SIGTERM, 0)
}

// metric reads one value of the metrics page.
func metric(t *testing.T, url, series string) float64 {
	t.Helper()
	_, page := ask(t, "GET", url+"metrics")
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("%q is missing in:\n%s", series, page)
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestServeCopiesFiles: the file itself has to get through net/http to the connection, or there is no sendfile. What
// net/http looks at for the content type goes the other way, 512 bytes at most.
func TestServeCopiesFiles(t *testing.T) {
	dir, large := servedTree(t)
	s := serve(t, dir)
	if _, body := ask(t, "GET", s.first+"large"); body != string(large) {
		t.Fatal("the wrong file")
	}
	if got, want := metric(t, s.first, "eddy_sendfile_bytes_total"), float64(len(large)-512); got < want {
		t.Errorf("%v bytes of %d came by sendfile", got, len(large))
	}
	s.end(t, syscall.SIGTERM, 0)
}

func TestMetricsMiscount(t *testing.T) {
	dir, _ := servedTree(t)
	s := serve(t, dir)
	for range 3 {
		ask(t, "GET", s.first+"hello.txt")
	}
	ask(t, "HEAD", s.first+"hello.txt")
	ask(t, "GET", s.first+"nothing")
	ask(t, "INVENTED", s.first+"hello.txt")
	for series, want := range map[string]float64{
		`eddy_http_requests_total{code="200",method="HEAD"}`:                 1,
		`eddy_http_requests_total{code="404",method="GET"}`:                  1,
		`eddy_http_requests_total{code="405",method="other"}`:                1,
		`eddy_http_request_duration_seconds_count{method="HEAD"}`:            1,
		`eddy_http_request_duration_seconds_bucket{method="HEAD",le="+Inf"}`: 1,
	} {
		if got := metric(t, s.first, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	// The server learns a little later than its client that a connection is closed; the last one is the one that asks.
	for began := time.Now(); metric(t, s.first, `eddy_http_connections`) != 1; time.Sleep(time.Millisecond) {
		if time.Since(began) > commandTimeout {
			t.Fatal("connections are not counted down")
		}
	}
	if got := metric(t, s.first, `eddy_http_requests_total{code="200",method="GET"}`); got < 3 {
		t.Errorf("%v successful requests, want at least 3", got)
	}
	_, page := ask(t, "GET", s.first+"metrics")
	wantText(t, page, "eddy_backend_info{backend=", "eddy_driver_turns_total ", "eddy_sockets ", "go_goroutines ", "# TYPE eddy_http_requests_total counter")
	if resp, _ := ask(t, "GET", s.first+"metrics"); !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("content type %q", resp.Header.Get("Content-Type"))
	}
	s.end(t, syscall.SIGTERM, 0)
}

func TestAccessLogLosesARequest(t *testing.T) {
	dir, _ := servedTree(t)
	s := serve(t, "--log=json", dir)
	ask(t, "GET", s.first+"hello.txt?query")
	ask(t, "GET", s.first+"nothing%0atime=forged")
	s.end(t, syscall.SIGTERM, 0)
	type line struct {
		Msg, Method, Path, Remote, Proto, Level string
		Status                                  int
		Bytes                                   int64
		Duration                                time.Duration
	}
	var lines []line
	for _, text := range strings.Split(strings.TrimSpace(s.stderr.String()), "\n") {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if l.Duration <= 0 || !strings.HasPrefix(l.Remote, "127.0.0.1:") || l.Proto != "HTTP/1.1" || l.Msg != "request" || l.Level != "INFO" {
			t.Errorf("%+v", l)
		}
		lines = append(lines, l)
	}
	if len(lines) != 2 {
		t.Fatalf("%+v", lines)
	}
	if l := lines[0]; l.Method != "GET" || l.Path != "/hello.txt" || l.Status != 200 || l.Bytes != int64(len("hello, world")) {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.Path != "/nothing\ntime=forged" || l.Status != 404 {
		t.Errorf("%+v", l)
	}
}

// underWay begins a download that the server cannot end by itself: it is larger than what sockets hold.
func underWay(t *testing.T, dir, url string) (reader *bufio.Reader, size int64) {
	t.Helper()
	size = 24 << 20
	huge := filepath.Join(dir, "huge")
	write(t, huge, 1, 0o644)
	if err := os.Truncate(huge, size); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reader = bufio.NewReader(conn)
	if _, err := reader.Peek(1); err != nil {
		t.Fatal(err)
	}
	return reader, size
}

// refused waits until nobody listens any more.
func refused(t *testing.T, url string) {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
	for began := time.Now(); time.Since(began) < commandTimeout; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("it still listens")
}

func TestSignalCutsADownload(t *testing.T) {
	for _, backend := range []string{"auto", "portable"} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprint(backend, " ", signal), func(t *testing.T) {
				dir, _ := servedTree(t)
				s := serve(t, "--grace=50s", "--backend="+backend, dir)
				reader, size := underWay(t, dir, s.first)
				s.signal(t, signal)
				refused(t, s.first)
				resp, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
					t.Errorf("%d bytes of %d, %v", n, size, err)
				}
				s.wait(t, 0)
			})
		}
	}
}

func TestSecondSignalWaitsForDownload(t *testing.T) {
	dir, _ := servedTree(t)
	s := serve(t, dir)
	underWay(t, dir, s.first)
	s.signal(t, syscall.SIGTERM)
	refused(t, s.first)
	s.end(t, syscall.SIGTERM, 128+int(syscall.SIGTERM))
}

func TestServeWaitsForEver(t *testing.T) {
	dir, _ := servedTree(t)
	s := serve(t, "--grace=100ms", dir)
	underWay(t, dir, s.first)
	s.end(t, syscall.SIGTERM, exitFailure)
	wantText(t, s.stderr.String(), "not answered in time")
}

func TestServeBadStartIsUnclear(t *testing.T) {
	dir, _ := servedTree(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, args := range map[string][]string{
		"address already in use": {"--addr=" + taken.Addr().String(), dir},
		"no such file":           {"--addr=127.0.0.1:0", filepath.Join(dir, "none")},
		"not a directory":        {"--addr=127.0.0.1:0", filepath.Join(dir, "hello.txt")},
		"missing port":           {"--addr=nonsense", dir},
		"unknown port":           {"--addr=127.0.0.1:nonsense", dir},
	} {
		o := eddyCommand(t, exitFailure, append([]string{"serve"}, args...)...)
		wantText(t, o.stderr, "eddy serve: ", want)
		if o.stdout != "" {
			t.Errorf("%q wrote %q", args, o.stdout)
		}
	}
}

func TestTLSHasNoHTTP2(t *testing.T) {
	dir, large := servedTree(t)
	s := serve(t, "--tls-self-signed", dir)
	if !strings.HasPrefix(s.first, "https://127.0.0.1:") {
		t.Fatalf("URL %q", s.first)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: commandTimeout}
	resp, err := client.Get(s.first + "large")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(body, large) || resp.Proto != "HTTP/2.0" {
		t.Errorf("%d bytes over %s, %v", len(body), resp.Proto, err)
	}
	if err := resp.TLS.PeerCertificates[0].VerifyHostname("localhost"); err != nil {
		t.Error(err)
	}
	s.end(t, syscall.SIGTERM, 0)
}
