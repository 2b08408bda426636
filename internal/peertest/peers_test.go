package peertest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

var backends = []eddy.Backend{eddy.BackendURing, eddy.BackendEpoll, eddy.BackendPortable}

// eachBackend runs a test with a driver of every kind there is, or the one that
// EDDY_BACKEND names.
func eachBackend(t *testing.T, test func(t *testing.T, d *eddy.Driver)) {
	t.Helper()
	only := os.Getenv("EDDY_BACKEND")
	for _, b := range backends {
		if only != "" && only != b.String() {
			continue
		}
		t.Run(b.String(), func(t *testing.T) {
			d, err := eddy.New(eddy.Config{Backend: b})
			if err != nil && b == eddy.BackendURing && only == "" {
				t.Skipf("SKIPPED: no io_uring here: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, d)
		})
	}
}

// need skips a test whose peer is not installed.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed", program)
	}
	return path
}

// listen counts what it accepts: a peer that was never connected through eddy
// would prove nothing.
func listen(t *testing.T, d *eddy.Driver) net.Listener {
	t.Helper()
	l, err := d.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// certificate is one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "eddy"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// serve runs an HTTP server on eddy, which the test's end shuts down.
func serve(t *testing.T, d *eddy.Driver, handler http.Handler, settings *tls.Config) (server *http.Server, url string) {
	t.Helper()
	l := listen(t, d)
	server = &http.Server{Handler: handler, TLSConfig: settings}
	ended := make(chan error, 1)
	url = "http://" + l.Addr().String()
	go func() {
		if settings != nil {
			ended <- server.ServeTLS(l, "", "")
			return
		}
		ended <- server.Serve(l)
	}()
	if settings != nil {
		url = "https://" + l.Addr().String()
	}
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; err != http.ErrServerClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return server, url
}

// client is an HTTP client that dials with eddy.
func client(t *testing.T, d *eddy.Driver, trusted *x509.CertPool) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := d.Dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		TLSClientConfig:     &tls.Config{RootCAs: trusted},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}
