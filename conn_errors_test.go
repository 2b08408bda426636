package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// world is package net, or eddy under the same names.
type world struct {
	listen func(config net.ListenConfig, network, address string) (net.Listener, error)
	dial   func(dialer net.Dialer, network, address string) (net.Conn, error)
}

var stdWorld = world{
	listen: func(config net.ListenConfig, network, address string) (net.Listener, error) {
		return config.Listen(context.Background(), network, address)
	},
	dial: func(dialer net.Dialer, network, address string) (net.Conn, error) {
		return dialer.DialContext(context.Background(), network, address)
	},
}

func worldOf(d *eddy.Driver) world {
	return world{
		listen: func(config net.ListenConfig, network, address string) (net.Listener, error) {
			l, err := d.ListenWith(context.Background(), eddy.ListenConfig{ListenConfig: config}, network, address)
			if err != nil {
				return nil, err
			}
			return l, nil
		},
		dial: func(dialer net.Dialer, network, address string) (net.Conn, error) {
			both := eddy.Dialer{Dialer: dialer, Driver: d}
			return both.Dial(network, address)
		},
	}
}

func (w world) mustListen(t *testing.T, network string) net.Listener {
	t.Helper()
	l, err := w.listen(net.ListenConfig{}, network, anyAddress(t, network))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (w world) connect(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	l := w.mustListen(t, network)
	client, err := w.dial(net.Dialer{}, network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	l.Close()
	return client, server
}

// chain is an error in full: what wraps what, with the fields that do not
// depend on the run.
func chain(err error) string {
	var timeout interface{ Timeout() bool }
	flags := ""
	if errors.As(err, &timeout) {
		flags = fmt.Sprintf(" timeout=%v", timeout.Timeout())
	}
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) {
		flags += fmt.Sprintf(" temporary=%v", temporary.Temporary())
	}
	return links(err) + flags
}

func links(err error) string {
	switch err {
	case nil:
		return "nil"
	case io.EOF:
		return "io.EOF"
	case net.ErrClosed:
		return "net.ErrClosed"
	case os.ErrDeadlineExceeded:
		return "os.ErrDeadlineExceeded"
	}
	switch e := err.(type) {
	case *net.OpError:
		return fmt.Sprintf("OpError{%s %s %s %s %s}", e.Op, e.Net, addressKind(e.Source), addressKind(e.Addr), links(e.Err))
	case *os.SyscallError:
		return fmt.Sprintf("SyscallError{%s %s}", e.Syscall, links(e.Err))
	case *net.DNSError:
		return fmt.Sprintf("DNSError{notfound=%v}", e.IsNotFound)
	case syscall.Errno:
		return e.Error()
	}
	return fmt.Sprintf("%T{%v}", err, err)
}

func addressKind(a net.Addr) string {
	if a == nil || reflect.ValueOf(a).IsNil() {
		return "-"
	}
	return fmt.Sprintf("%T/%s", a, a.Network())
}

// report collects what a scenario sees.
type report struct{ lines []string }

func (r *report) add(what string, n int64, err error) {
	r.lines = append(r.lines, fmt.Sprintf("%s: %d, %s", what, n, chain(err)))
}

func (r *report) err(what string, err error) { r.add(what, 0, err) }

// methods calls everything that a connection of the network has in package net.
func (r *report) methods(c net.Conn, tcp bool) {
	p := make([]byte, 4)
	n, err := c.Read(p)
	r.add("Read", int64(n), err)
	n, err = c.Read(nil)
	r.add("Read of nothing", int64(n), err)
	n, err = c.Write(p)
	r.add("Write", int64(n), err)
	n, err = c.Write(nil)
	r.add("Write of nothing", int64(n), err)
	r.err("SetDeadline", c.SetDeadline(time.Now().Add(time.Hour)))
	r.err("SetReadDeadline", c.SetReadDeadline(time.Time{}))
	r.err("SetWriteDeadline", c.SetWriteDeadline(time.Time{}))
	buffers := c.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	})
	r.err("SetReadBuffer", buffers.SetReadBuffer(9000))
	r.err("SetWriteBuffer", buffers.SetWriteBuffer(9000))
	file, err := c.(interface{ File() (*os.File, error) }).File()
	r.err("File", err)
	if err == nil {
		file.Close()
	}
	r.raw(c.(syscall.Conn))
	if tcp {
		r.tcpMethods(c)
	}
	halves := c.(interface {
		CloseRead() error
		CloseWrite() error
	})
	r.err("CloseRead", halves.CloseRead())
	r.err("CloseWrite", halves.CloseWrite())
	r.err("Close", c.Close())
	r.err("Close again", c.Close())
}

func (r *report) tcpMethods(c net.Conn) {
	s := c.(interface {
		SetLinger(int) error
		SetNoDelay(bool) error
		SetKeepAlive(bool) error
		SetKeepAlivePeriod(time.Duration) error
		SetKeepAliveConfig(net.KeepAliveConfig) error
		MultipathTCP() (bool, error)
		io.ReaderFrom
		io.WriterTo
	})
	r.err("SetLinger", s.SetLinger(-1))
	r.err("SetNoDelay", s.SetNoDelay(true))
	r.err("SetKeepAlive", s.SetKeepAlive(true))
	r.err("SetKeepAlivePeriod", s.SetKeepAlivePeriod(time.Second))
	r.err("SetKeepAliveConfig", s.SetKeepAliveConfig(net.KeepAliveConfig{}))
	_, err := s.MultipathTCP() // package net looks at whoever has the number now
	r.err("MultipathTCP", err)
	n, err := s.ReadFrom(bytes.NewReader([]byte("x")))
	r.add("ReadFrom", n, err)
	n, err = s.WriteTo(io.Discard)
	r.add("WriteTo", n, err)
	n, err = io.Copy(onlyWriter{io.Discard}, onlyReader{c})
	r.add("Copy", n, err)
}

type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

func (r *report) raw(c syscall.Conn) {
	raw, err := c.SyscallConn()
	r.err("SyscallConn", err)
	if err != nil {
		return
	}
	called := 0
	err = raw.Control(func(uintptr) { called++ })
	r.add("Control", int64(called), err)
	err = raw.Read(func(uintptr) bool { called++; return true })
	r.add("raw Read", int64(called), err)
	err = raw.Write(func(uintptr) bool { called++; return true })
	r.add("raw Write", int64(called), err)
}

// awaitReset returns when a reset has arrived, which cannot be seen everywhere.
var awaitReset = func(net.Conn) error {
	time.Sleep(20 * time.Millisecond)
	return nil
}

// scenarios are what is done to package net and to eddy alike.
var scenarios = map[string]func(t *testing.T, w world, network string, r *report){
	"after Close": func(t *testing.T, w world, network string, r *report) {
		client, _ := w.connect(t, network)
		client.Close()
		r.methods(client, strings.HasPrefix(network, "tcp"))
	},
	"past the deadline": func(t *testing.T, w world, network string, r *report) {
		client, _ := w.connect(t, network)
		client.SetDeadline(past)
		p := make([]byte, 4)
		n, err := client.Read(p)
		r.add("Read", int64(n), err)
		n, err = client.Write(p)
		r.add("Write", int64(n), err)
		r.raw(client.(syscall.Conn))
		if strings.HasPrefix(network, "tcp") {
			n, err := client.(io.ReaderFrom).ReadFrom(bytes.NewReader(p))
			r.add("ReadFrom", n, err)
			n, err = client.(io.WriterTo).WriteTo(io.Discard)
			r.add("WriteTo", n, err)
		}
	},
	"a peer that is gone": func(t *testing.T, w world, network string, r *report) {
		client, server := w.connect(t, network)
		server.Close()
		p := make([]byte, 4)
		n, err := client.Read(p)
		r.add("Read", int64(n), err)
		for err = nil; err == nil; time.Sleep(5 * time.Millisecond) {
			_, err = client.Write(p)
		}
		r.err("Write", err)
		_, err = client.Write(p)
		r.err("Write again", err)
		n, err = client.Read(p)
		r.add("Read again", int64(n), err)
		if strings.HasPrefix(network, "tcp") {
			n, err := client.(io.ReaderFrom).ReadFrom(bytes.NewReader(p))
			r.add("ReadFrom", n, err)
		}
		r.err("Close", client.Close())
	},
	"a reset": func(t *testing.T, w world, network string, r *report) {
		for _, first := range []string{"Read", "Write", "WriteTo", "nothing"} {
			client, server := w.connect(t, network)
			server.(interface{ SetLinger(int) error }).SetLinger(0)
			server.Close()
			if err := awaitReset(client); err != nil {
				t.Error(err)
			}
			p := make([]byte, 4)
			switch first {
			case "Read":
				n, err := client.Read(p)
				r.add("Read", int64(n), err)
			case "Write":
				n, err := client.Write(p)
				r.add("Write", int64(n), err)
			case "WriteTo":
				n, err := client.(io.WriterTo).WriteTo(io.Discard)
				r.add("WriteTo", n, err)
			}
			n, err := client.Write(p)
			r.add("Write after "+first, int64(n), err)
			n, err = client.Read(p)
			r.add("Read after "+first, int64(n), err)
		}
	},
	"a reset during Read": func(t *testing.T, w world, network string, r *report) {
		client, server := w.connect(t, network)
		time.AfterFunc(20*time.Millisecond, func() {
			server.(interface{ SetLinger(int) error }).SetLinger(0)
			server.Close()
		})
		n, err := client.Read(make([]byte, 4))
		r.add("Read", int64(n), err)
	},
	"half closed": func(t *testing.T, w world, network string, r *report) {
		type halves interface {
			CloseRead() error
			CloseWrite() error
		}
		client, server := w.connect(t, network)
		p := make([]byte, 4)
		// What arrives after both halves were closed is answered with a reset. A
		// local socket's packet has arrived when it is sent; of a stream, whose
		// bytes go in one segment, the last has when the first is there.
		if isStream(network) {
			client.Write([]byte(">abcd"))
			n, err := server.Read(p[:1])
			r.add("Read before CloseRead", int64(n), err)
		} else {
			client.Write([]byte("abcd"))
		}
		r.err("CloseRead", server.(halves).CloseRead())
		r.err("CloseRead again", server.(halves).CloseRead())
		for range 2 {
			n, err := server.Read(p)
			r.add("Read after CloseRead", int64(n), err)
		}
		n, err := server.Write(p)
		r.add("Write after CloseRead", int64(n), err)
		r.err("CloseWrite", server.(halves).CloseWrite())
		r.err("CloseWrite again", server.(halves).CloseWrite())
		n, err = server.Write(p)
		r.add("Write after CloseWrite", int64(n), err)
		n, err = io.ReadFull(client, p)
		r.add("the peer's Read", int64(n), err)
		if isStream(network) {
			n, err = client.Read(p)
			r.add("the peer's Read of the end", int64(n), err)
		}
		n, err = server.Read(nil)
		r.add("Read of nothing", int64(n), err)
	},
	"addresses": func(t *testing.T, w world, network string, r *report) {
		client, server := w.connect(t, network)
		for i, c := range []net.Conn{client, server} {
			r.err(fmt.Sprintf("end %d: %s %s", i, addressKind(c.LocalAddr()), addressKind(c.RemoteAddr())), nil)
			for _, a := range []net.Addr{c.LocalAddr(), c.RemoteAddr()} {
				if u, ok := a.(*net.UnixAddr); ok && !filepath.IsAbs(u.Name) {
					r.err(fmt.Sprintf("end %d has the name %q", i, u.Name), nil)
				}
				if a, ok := a.(*net.TCPAddr); ok {
					r.err(fmt.Sprintf("end %d has %d bytes of address, %v, zone %q", i, len(a.IP), a.IP, a.Zone), nil)
				}
			}
		}
	},
	"its file": func(t *testing.T, w world, network string, r *report) {
		client, server := w.connect(t, network)
		file, err := client.(interface{ File() (*os.File, error) }).File()
		r.err("File", err)
		name, _, _ := strings.Cut(file.Name(), ":")
		r.err("called "+name, nil)
		client.Close()
		n, err := file.WriteString("abcd")
		r.add("Write to the file", int64(n), err)
		n, err = server.Read(make([]byte, 4))
		r.add("Read", int64(n), err)
		r.err("SetDeadline of the file", file.SetDeadline(time.Now().Add(time.Hour)))
		r.err("Close of the file", file.Close())
	},
	"a listener's end": func(t *testing.T, w world, network string, r *report) {
		l := w.mustListen(t, network)
		type settings interface {
			SetDeadline(time.Time) error
			File() (*os.File, error)
		}
		s := l.(settings)
		r.raw(l.(syscall.Conn))
		s.SetDeadline(past)
		_, err := l.Accept()
		r.err("Accept past the deadline", err)
		s.SetDeadline(time.Time{})
		time.AfterFunc(20*time.Millisecond, func() { l.Close() })
		_, err = l.Accept()
		r.err("Accept during Close", err)
		_, err = l.Accept()
		r.err("Accept after Close", err)
		r.err("Close again", l.Close())
		r.err("SetDeadline", s.SetDeadline(past))
		_, err = s.File()
		r.err("File", err)
		r.raw(l.(syscall.Conn))
		r.err(addressKind(l.Addr()), nil)
	},
	"bad addresses": func(t *testing.T, w world, network string, r *report) {
		free := w.mustListen(t, network)
		address := free.Addr().String()
		_, err := w.listen(net.ListenConfig{}, network, address)
		r.err("Listen where somebody does", err)
		free.Close()
		_, err = w.dial(net.Dialer{}, network, address)
		r.err("Dial where nobody listens", err)
		for _, address := range []string{"", "nonsense", "127.0.0.1:notaport", "127.0.0.1:99999", "127.0.0.1"} {
			if strings.HasPrefix(network, "unix") && address != "" {
				continue
			}
			_, err = w.dial(net.Dialer{}, network, address)
			r.err("Dial "+address, err)
			if address != "" {
				_, err = w.listen(net.ListenConfig{}, network, address)
				r.err("Listen "+address, err)
			}
		}
	},
	"bad Unix paths": func(t *testing.T, w world, network string, r *report) {
		plain := tempFile(t, nil)
		for _, place := range []struct{ what, path string }{
			{"a file", plain},
			{"below a file", filepath.Join(plain, "socket")},
			{"in no directory", filepath.Join(filepath.Dir(plain), "none", "socket")},
			{"a directory", filepath.Dir(plain)},
			{"a name of 200 'a'", strings.Repeat("a", 200)},
		} {
			_, err := w.dial(net.Dialer{}, network, place.path)
			r.err("Dial "+place.what, err)
			_, err = w.listen(net.ListenConfig{}, network, place.path)
			r.err("Listen "+place.what, err)
		}
	},
	"no such network": func(t *testing.T, w world, network string, r *report) {
		for _, n := range []string{"", "nonsense", network + "x"} {
			_, err := w.dial(net.Dialer{}, n, "127.0.0.1:1")
			r.err("Dial "+n, err)
			_, err = w.listen(net.ListenConfig{}, n, "127.0.0.1:1")
			r.err("Listen "+n, err)
		}
	},
	"no such host": func(t *testing.T, w world, network string, r *report) {
		nowhere := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no name server")
		}}
		_, err := w.dial(net.Dialer{Resolver: nowhere}, network, "no.such.host.invalid:1")
		r.err("Dial", err)
	},
	"no route": func(t *testing.T, w world, network string, r *report) {
		// The kernel sends nothing from a loopback address to elsewhere.
		_, err := w.dial(net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}, network, "203.0.113.1:1")
		r.err("Dial", err)
	},
	"a control function that fails": func(t *testing.T, w world, network string, r *report) {
		refuse := func(string, string, syscall.RawConn) error { return errors.New("refused") }
		l := w.mustListen(t, network)
		_, err := w.dial(net.Dialer{Control: refuse}, network, l.Addr().String())
		r.err("Dial", err)
		_, err = w.listen(net.ListenConfig{Control: refuse}, network, anyAddress(t, network))
		r.err("Listen", err)
	},
}

// scenarioNetworks are the beginnings of the networks that a scenario is for, if
// it is not for all.
var scenarioNetworks = map[string]string{
	"a reset":             "tcp",
	"a reset during Read": "tcp",
	"bad Unix paths":      "unix",
	"no such host":        "tcp",
	"no route":            "tcp4",
}

// Every error is what package net says at the same place, link by link.
func TestErrorIsNotStds(t *testing.T) {
	networks := connNetworks()
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for name, scenario := range scenarios {
			for _, network := range networks {
				if !strings.HasPrefix(network, scenarioNetworks[name]) {
					continue
				}
				t.Run(name+"/"+network, func(t *testing.T) {
					var want, got report
					within(t, patience, "the scenario, with package net,", func() { scenario(t, stdWorld, network, &want) })
					within(t, patience, "the scenario", func() { scenario(t, worldOf(d), network, &got) })
					sameLines(t, got.lines, want.lines)
				})
			}
		}
	})
}

// sameLines compares line by line.
func sameLines(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var lines [2]string
		for side, list := range [][]string{want, got} {
			lines[side] = "nothing"
			if i < len(list) {
				lines[side] = list[i]
			}
		}
		if lines[0] != lines[1] {
			t.Errorf("std:  %s\neddy: %s", lines[0], lines[1])
		}
	}
	if len(want) == 0 {
		t.Error("std has not been asked anything")
	}
}
