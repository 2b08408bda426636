package webserver

import (
	"io"
	"net"
	"os"
	"sync/atomic"

	"github.com/eddyio/eddy"
)

// listener counts what its connections send from files without copying it.
type listener struct {
	*eddy.Listener
	fromFiles atomic.Int64 // bytes
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return &conn{c, &l.fromFiles}, nil
}

// conn is an *eddy.Conn that counts.
type conn struct {
	*eddy.Conn
	fromFiles *atomic.Int64
}

// ReadFrom is Conn.ReadFrom, which is sendfile(2) if r is an *os.File, or as much of one as an io.LimitedReader lets
// through.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.Conn.ReadFrom(r)
	if limited, ok := r.(*io.LimitedReader); ok {
		r = limited.R
	}
	if _, ok := r.(*os.File); ok {
		c.fromFiles.Add(n)
	}
	return n, err
}
