package peertest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/eddyio/eddy"
)

// ends makes both ends of a connection.
func ends(d *eddy.Driver, network, address string) (client, server net.Conn, stop func(), err error) {
	l, err := d.Listen(context.Background(), network, address)
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	dialed, err := d.Dial(context.Background(), network, l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	server, err = l.Accept()
	if err != nil {
		dialed.Close()
		return nil, nil, nil, err
	}
	return dialed, server, func() {
		dialed.Close()
		server.Close()
	}, nil
}

// The suite that every net.Conn has to pass, and std's own do.
func TestConnIsNoNetConn(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network, func(t *testing.T) {
				nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
					address := "127.0.0.1:0"
					if network == "unix" {
						address = filepath.Join(t.TempDir(), "s")
					}
					return ends(d, network, address)
				})
			})
		}
	})
}

// worldVariable is set in a process that runs the suite over TLS, and says over
// whose connections: std's, or those of a backend of eddy's. It is another process
// for the parts that fail, which would fail the test.
const worldVariable = "EDDY_TEST_TLS_OVER"

// tlsFailures are the parts of the suite that crypto/tls fails, over whatever it
// is. Each has a Write time out, wants an error for that, and wants the connection
// to work again once the deadline is gone. But an error of the connection below, a
// timeout like any other, stays the answer of all later Writes for good, because
// part of a record may have been sent: tls.Conn.SetWriteDeadline says so. There is
// no way to set up a pair that helps, for the error that the suite wants is
// the one that stays.
var tlsFailures = []string{"PastTimeout", "FutureTimeout", "ConcurrentMethods"}

// parts of the suite.
const parts = 11

// Over eddy's connections crypto/tls passes and fails what it does over std's, and
// says the same.
func TestTLSConnIsNoNetConn(t *testing.T) {
	if world := os.Getenv(worldVariable); world != "" {
		tlsSuite(t, world)
		return
	}
	want := tlsOutcomes(t, "std")
	if len(want) != parts {
		t.Fatalf("the suite has %d parts, not %d: %q", len(want), parts, want)
	}
	for part, outcome := range want {
		if !slices.Contains(tlsFailures, part) && !strings.HasPrefix(outcome, "PASS") {
			t.Errorf("over std, %s: %s", part, outcome)
		}
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		got := tlsOutcomes(t, d.Status().Backend.String())
		for part, outcome := range want {
			if got[part] != outcome {
				t.Errorf("%s:\nover std:  %s\nover eddy: %s", part, outcome, got[part])
			}
		}
		if len(got) != parts {
			t.Errorf("%d parts have run, not %d", len(got), parts)
		}
	})
}

var (
	partBegins = regexp.MustCompile(`^=== (?:RUN|NAME) +TestTLSConnIsNoNetConn/(\w+)$`)
	partEnds   = regexp.MustCompile(`^ +--- (\w+): TestTLSConnIsNoNetConn/(\w+) `)
	complaint  = regexp.MustCompile(`^ +conntest\.go:\d+: (.*)$`)
	endpoint   = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// tlsOutcomes are the verdicts on the parts, each with the complaints, which come
// in the order of several goroutines.
func tlsOutcomes(t *testing.T, world string) map[string]string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.timeout=5m", "-test.run=^TestTLSConnIsNoNetConn$")
	cmd.Env = append(os.Environ(), worldVariable+"="+world)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	outcomes, complaints := map[string]string{}, map[string][]string{}
	part := ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if m := partBegins.FindStringSubmatch(line); m != nil {
			part = m[1]
		} else if m := complaint.FindStringSubmatch(line); m != nil {
			complaints[part] = append(complaints[part], endpoint.ReplaceAllString(m[1], "address"))
		} else if m := partEnds.FindStringSubmatch(line); m != nil {
			slices.Sort(complaints[m[2]])
			outcomes[m[2]] = strings.Join(append([]string{m[1]}, complaints[m[2]]...), "\n\t")
		}
	}
	if len(outcomes) != parts {
		t.Errorf("over %s: %v\n%s", world, err, out)
	}
	return outcomes
}

// tlsSuite is the suite, in the process that is for it.
func tlsSuite(t *testing.T, world string) {
	var pair func() (client, server net.Conn, stop func(), err error)
	if world == "std" {
		pair = stdEnds
	} else {
		b, err := eddy.ParseBackend(world)
		if err != nil {
			t.Fatal(err)
		}
		d, err := eddy.New(eddy.Config{Backend: b})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		pair = func() (net.Conn, net.Conn, func(), error) { return ends(d, "tcp", "127.0.0.1:0") }
	}
	own, pool := certificate(t)
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		c, s, stop, err := pair()
		if err != nil {
			return nil, nil, nil, err
		}
		client := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
		server := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{own}})
		shaken := goHandshake(server)
		if err := errors.Join(client.Handshake(), <-shaken); err != nil {
			stop()
			return nil, nil, nil, err
		}
		return &tlsEnd{Conn: client}, &tlsEnd{Conn: server}, stop, nil
	})
}

func goHandshake(c *tls.Conn) <-chan error {
	shaken := make(chan error, 1)
	go func() { shaken <- c.Handshake() }()
	return shaken
}

// stdEnds is ends of package net.
func stdEnds() (client, server net.Conn, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	server, err = l.Accept()
	if err != nil {
		client.Close()
		return nil, nil, nil, err
	}
	return client, server, func() {
		client.Close()
		server.Close()
	}, nil
}

// tlsEnd closes the connection below once a Write has timed out though there is
// no deadline, which is the error that stays: the suite would wait a minute for the
// answer to what was not written.
type tlsEnd struct {
	*tls.Conn
	free atomic.Bool // there is no deadline, and has been none since the Write began
}

func (c *tlsEnd) SetDeadline(t time.Time) error {
	err := c.Conn.SetDeadline(t)
	c.free.Store(t.IsZero())
	return err
}

func (c *tlsEnd) SetWriteDeadline(t time.Time) error {
	c.free.Store(false)
	return c.Conn.SetWriteDeadline(t)
}

func (c *tlsEnd) Write(p []byte) (int, error) {
	free := c.free.Load()
	n, err := c.Conn.Write(p)
	if free && errors.Is(err, os.ErrDeadlineExceeded) && c.free.Load() {
		c.NetConn().Close()
	}
	return n, err
}
