//go:build unix

package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEchoChangesWhatComes(t *testing.T) {
	for _, network := range []string{"tcp", "tcp4", "tcp6", "unix", "unixpacket", "udp", "udp4", "udp6", "unixgram"} {
		if network == "unixpacket" && !hasUnixPackets() {
			continue
		}
		for _, engine := range [][]string{{"--engine=eddy"}, {"--engine=eddy", "--backend=portable"}, {"--engine=std"}} {
			t.Run(network+strings.Join(engine, ""), func(t *testing.T) {
				address := map[string]string{"tcp6": "[::1]:0", "udp6": "[::1]:0"}[network]
				path := ""
				if strings.HasPrefix(network, "unix") {
					path = filepath.Join(t.TempDir(), "socket")
					address = path
				}
				args := append([]string{"echo", "--network=" + network}, engine...)
				if address != "" {
					args = append(args, "--addr="+address)
				}
				s := startServer(t, args...)
				exchange(t, network, s.first)
				exchange(t, network, s.first) // another client
				s.end(t, syscall.SIGTERM, 0)
				if path != "" {
					if _, err := os.Lstat(path); !os.IsNotExist(err) {
						t.Errorf("it left its socket: %v", err)
					}
				}
			})
		}
	}
}

// hasUnixPackets says whether the system has the network at all.
func hasUnixPackets() bool {
	l, err := net.Listen("unixpacket", filepath.Join(os.TempDir(), "eddy-test-unixpacket"))
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// exchange sends messages of several sizes, one after the other, and wants each of them back.
func exchange(t *testing.T, network, address string) {
	t.Helper()
	dial := func() (net.Conn, error) { return net.Dial(network, address) }
	if network == "unixgram" { // an answer needs an address to go to
		own := filepath.Join(t.TempDir(), "own")
		dial = func() (net.Conn, error) {
			return net.DialUnix(network, &net.UnixAddr{Name: own, Net: network}, &net.UnixAddr{Name: address, Net: network})
		}
	}
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{1, 64, 4096, 30000} {
		sent := strings.Repeat(string(rune('a'+i)), size)
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(conn, got); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if string(got) != sent {
			t.Fatalf("%d bytes came back as others", size)
		}
	}
}

// TestEchoEndsWithItsClient: a datagram from nobody, or to somebody who is gone, concerns nobody else.
func TestEchoEndsWithItsClient(t *testing.T) {
	for _, engine := range []string{"eddy", "std"} {
		path := filepath.Join(t.TempDir(), "socket")
		s := startServer(t, "echo", "--network=unixgram", "--addr="+path, "--engine="+engine)
		nameless, err := net.Dial("unixgram", path)
		if err != nil {
			t.Fatal(err)
		}
		defer nameless.Close()
		own := filepath.Join(t.TempDir(), "gone")
		gone, err := net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		s.signal(t, syscall.SIGSTOP) // so that it answers when the sender is gone
		for _, c := range []net.Conn{nameless, gone} {
			if _, err := io.WriteString(c, "x"); err != nil {
				t.Fatal(err)
			}
		}
		gone.Close()
		os.Remove(own)
		s.signal(t, syscall.SIGCONT)
		exchange(t, "unixgram", path)
		s.end(t, syscall.SIGINT, 0)
	}
}

func TestEchoBadAddressIsUnclear(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, engine := range []string{"eddy", "std"} {
		for address, want := range map[string]string{taken.Addr().String(): "address already in use", "nonsense": "missing port"} {
			wantText(t, eddyCommand(t, exitFailure, "echo", "--engine="+engine, "--addr="+address).stderr, "eddy echo: ", want)
		}
	}
}
