package webserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eddyio/eddy"
)

// The server's patience with its clients.
const (
	headerTimeout = 10 * time.Second // for the head of a request
	bodyTimeout   = time.Minute      // for all of a request; nobody has a reason to send a body
	idleTimeout   = 2 * time.Minute  // for the next request
	stallTimeout  = time.Minute      // to take chunkSize bytes of an answer
	headerBytes   = 64 << 10
)

// MetricsPath is where the metrics are. It hides a file of that name.
const MetricsPath = "/metrics"

// Config says what is served, and how.
type Config struct {
	Driver  *eddy.Driver
	Dir     string
	Address string
	TLS     bool // with a certificate made for the occasion
	Log     *slog.Logger
}

// Server is a web server that listens.
type Server struct {
	http     http.Server
	listener *listener
	root     *os.Root
	tls      bool
}

// Listen opens the directory and the port.
func Listen(ctx context.Context, config Config) (*Server, error) {
	root, err := os.OpenRoot(config.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{root: root, tls: config.TLS}
	if err := s.listen(ctx, config); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

func (s *Server) listen(ctx context.Context, config Config) error {
	l, err := config.Driver.Listen(ctx, "tcp", config.Address)
	if err != nil {
		return err
	}
	s.listener = &listener{Listener: l}
	registry := prometheus.NewRegistry()
	m := newMetrics(registry, config.Driver, s.listener)
	mux := http.NewServeMux()
	mux.Handle(MetricsPath, promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	mux.Handle("/", http.FileServer(files{s.root}))
	s.http = http.Server{
		Handler:           observe(onlyReading(mux), config.Log, m),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      stallTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(config.Log.Handler(), slog.LevelWarn),
		ConnState:         m.countConnections,
	}
	if !config.TLS {
		return nil
	}
	machine, _ := os.Hostname() // one that is not known cannot be asked for
	certificate, err := selfSigned(s.host(), machine, time.Now())
	if err != nil {
		return errors.Join(fmt.Errorf("cannot make a certificate: %w", err), l.Close())
	}
	s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	return nil
}

// host is how a client on this machine calls the address listened on.
func (s *Server) host() string {
	host, _, err := net.SplitHostPort(s.listener.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

// URL is what a client on this machine has to ask for.
func (s *Server) URL() string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	_, port, _ := net.SplitHostPort(s.listener.Addr().String()) // an address that net made
	return fmt.Sprintf("%s://%s/", scheme, net.JoinHostPort(s.host(), port))
}

// Serve answers until Shutdown is called, and then returns nil at once.
func (s *Server) Serve() error {
	err := error(nil)
	if s.tls {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops listening, waits until the requests under way have been answered or ctx ends, and closes everything.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("requests were not answered in time: %w", errors.Join(err, s.http.Close()))
	}
	return errors.Join(err, s.root.Close())
}

// onlyReading refuses every method but those that a file has an answer to.
func onlyReading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}
