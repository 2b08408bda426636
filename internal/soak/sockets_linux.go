package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"

	"github.com/eddyio/eddy"
)

// server is what a setting's clients connect to.
type server struct {
	s         *soak
	set       *setting
	listeners []*eddy.Listener // tcp, unix
	packets   *eddy.PacketConn
}

// address of a network's listener.
func (v *server) address(network string) string {
	switch network {
	case "tcp":
		return v.listeners[0].Addr().String()
	case "unix":
		return v.listeners[1].Addr().String()
	}
	return v.packets.LocalAddr().String()
}

func (s *soak) startSockets() error {
	var servers []*server
	for i, set := range s.settings {
		v, err := s.startServer(set, i)
		if err != nil {
			return err
		}
		servers = append(servers, v)
	}
	s.closeServers = func() {
		for _, v := range servers {
			v.close()
		}
	}
	for i := range s.o.sockets {
		v := servers[i%len(servers)]
		rng := rand.New(rand.NewPCG(s.o.seed, 1<<32|uint64(i)))
		id := uint64(i)
		switch k := i / len(servers) % 10; {
		case k == 9:
			c := &datagramClient{s: s, v: v, id: id, rng: rng}
			s.worker(fmt.Sprintf("udp client %d of %s", i, v.set.name), c.run)
		default:
			c := &client{s: s, v: v, id: id, rng: rng, network: [...]string{"tcp", "unix"}[k%2]}
			s.worker(fmt.Sprintf("%s client %d of %s", c.network, i, v.set.name), c.run)
		}
	}
	return nil
}

func (s *soak) startServer(set *setting, index int) (*server, error) {
	v := &server{s: s, set: set}
	ctx := context.Background()
	for _, a := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(s.dir.name, set.name+".sock")}} {
		l, err := set.d.Listen(ctx, a[0], a[1])
		if err != nil {
			return nil, err
		}
		v.listeners = append(v.listeners, l)
	}
	var err error
	if v.packets, err = set.d.ListenPacket(ctx, "udp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	for i, l := range v.listeners {
		s.servers.Go(func() { v.accept(l, rand.New(rand.NewPCG(s.o.seed, 2<<32|uint64(2*index+i)))) })
	}
	s.servers.Go(v.echoDatagrams)
	return v, nil
}

// close ends the server; its connections are those of clients that have ended.
func (v *server) close() {
	for _, l := range v.listeners {
		if err := l.Close(); err != nil {
			v.s.add("unexpected error", "%s: close of a listener: %v", v.set.name, err)
		}
	}
	if err := v.packets.Close(); err != nil {
		v.s.add("unexpected error", "%s: close of a packet socket: %v", v.set.name, err)
	}
}

func (v *server) accept(l net.Listener, rng *rand.Rand) {
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) || !v.s.stopping() {
				v.s.add("unexpected error", "%s: accept: %v", v.set.name, err)
			}
			return
		}
		e := &echo{s: v.s, set: v.set, c: c.(*eddy.Conn), rng: rand.New(rand.NewPCG(rng.Uint64(), 0))}
		v.s.servers.Go(e.run)
	}
}
