// Race does to a buffer, or to a variable, what its arguments say, over a
// connection of std's or eddy's. It is built with the race detector.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/eddyio/eddy"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: race std|eddy WHAT")
		os.Exit(2)
	}
	client, server, err := connect(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	what, ok := deeds[os.Args[2]]
	if !ok {
		fmt.Fprintln(os.Stderr, "there is no", os.Args[2])
		os.Exit(2)
	}
	what(client, server)
}

func connect(world string) (client, server net.Conn, err error) {
	listen, dial := net.Listen, net.Dial
	if world == "eddy" {
		listen = func(network, address string) (net.Listener, error) { return eddy.Listen(network, address) }
		dial = func(network, address string) (net.Conn, error) { return eddy.Dial(network, address) }
	}
	l, err := listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if client, err = dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	server, err = l.Accept()
	return client, server, err
}

var deeds = map[string]func(client, server net.Conn){
	// Races of the user's.
	"touch-during-read": func(client, server net.Conn) {
		p := make([]byte, 8)
		done := make(chan bool)
		go func() {
			server.Read(p)
			close(done)
		}()
		time.Sleep(20 * time.Millisecond)
		p[0] = 1
		client.Write([]byte("12345678"))
		<-done
	},
	"touch-during-write": func(client, server net.Conn) {
		p := make([]byte, 8)
		done := make(chan bool)
		go func() {
			client.Write(p)
			close(done)
		}()
		p[0] = 1
		<-done
	},
	"two-reads": func(client, server net.Conn) {
		p := make([]byte, 8)
		done := make(chan bool)
		go func() {
			client.Read(p)
			close(done)
		}()
		go server.Write([]byte("12345678"))
		go client.Write([]byte("12345678"))
		server.Read(p)
		<-done
	},

	// None: what is written before a Write is seen after the Read of it.
	"ordered": func(client, server net.Conn) {
		ordered(client.Write, server)
	},
	"ordered-buffers": func(client, server net.Conn) {
		ordered(func(p []byte) (int, error) {
			v := net.Buffers{p}
			if c, ok := client.(*eddy.Conn); ok {
				n, err := c.WriteBuffers(&v)
				return int(n), err
			}
			n, err := v.WriteTo(client)
			return int(n), err
		}, server)
	},
	"ordered-context": func(client, server net.Conn) {
		c, ok := client.(*eddy.Conn)
		if !ok {
			return // std has no such method
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ordered(func(p []byte) (int, error) { return c.WriteContext(ctx, p) }, server)
	},
	"ordered-reuse": func(client, server net.Conn) {
		// A buffer is the caller's again when the call has returned.
		p := make([]byte, 1<<16)
		go io.Copy(io.Discard, onlyReader{server})
		for i := range 100 {
			p[0] = byte(i)
			client.Write(p)
		}
		client.Close()
	},
}

type onlyReader struct{ io.Reader }

// ordered passes a variable from one goroutine to another with nothing but the
// connection between them, back and forth.
func ordered(write func([]byte) (int, error), server net.Conn) {
	var shared [100]int
	go func() {
		for i := range shared {
			shared[i] = i
			write([]byte{byte(i)})
		}
	}()
	p := make([]byte, 1)
	for i := range shared {
		if _, err := io.ReadFull(server, p); err != nil || shared[i] != i {
			fmt.Fprintln(os.Stderr, "round", i, shared[i], err)
			os.Exit(1)
		}
	}
}
