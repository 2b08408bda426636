package peertest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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

// The parts of the suite that crypto/tls passes over std's connections. The others,
// PastTimeout, FutureTimeout and ConcurrentMethods, use a connection again after a
// Write that has timed out, which leaves a TLS connection corrupt, as
// tls.Conn.SetWriteDeadline says: over std's they hang as well.
const tlsParts = "BasicIO|PingPong|RacyRead|RacyWrite|ReadTimeout|WriteTimeout|PresentTimeout|CloseTimeout"

// partsVariable is set in the process that runs those parts and no others, which
// only the flags of a test binary can choose.
const partsVariable = "EDDY_TEST_TLS_PARTS"

func TestTLSConnIsNoNetConn(t *testing.T) {
	if os.Getenv(partsVariable) == "" {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.timeout=5m",
			"-test.run=^TestTLSConnIsNoNetConn$/./^("+tlsParts+")$")
		cmd.Env = append(os.Environ(), partsVariable+"=1")
		out, err := cmd.CombinedOutput()
		wanted := strings.Count(tlsParts, "|") + 1
		passed := strings.Count(string(out), "        --- PASS: ")
		if err != nil || passed == 0 || passed%wanted != 0 {
			t.Errorf("%v, %d passed of %d for each backend\n%s", err, passed, wanted, out)
		}
		return
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		own, pool := certificate(t)
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			c, s, stop, err := ends(d, "tcp", "127.0.0.1:0")
			if err != nil {
				return nil, nil, nil, err
			}
			client := tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
			server := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{own}})
			shaken := make(chan error, 1)
			go func() { shaken <- server.Handshake() }()
			if err := errors.Join(client.Handshake(), <-shaken); err != nil {
				stop()
				return nil, nil, nil, err
			}
			return client, server, stop, nil
		})
	})
}
