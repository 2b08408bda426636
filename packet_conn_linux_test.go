package eddy_test

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

// connected is two ends of a network of Unix sockets, std's or a driver's.
type msgUnix interface {
	net.Conn
	ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error)
	WriteMsgUnix(p, oob []byte, to *net.UnixAddr) (n, oobn int, err error)
}

func unixEnds(l *ledger, network string) (client, server msgUnix) {
	l.t.Helper()
	name := l.dir + "/" + network
	var n net.Listener
	var c net.Conn
	var err error
	if l.d == nil {
		n, err = net.Listen(network, name)
	} else {
		n, err = l.d.Listen(context.Background(), network, name)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	defer n.Close()
	if l.d == nil {
		c, err = net.Dial(network, name)
	} else {
		c, err = l.d.Dial(context.Background(), network, name)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	s, err := n.Accept()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range []net.Conn{c, s} {
		l.t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	return c.(msgUnix), s.(msgUnix)
}

func TestUnixMessagesOtherThanStds(t *testing.T) {
	for _, network := range []string{"unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			sameAsStd(t, func(l *ledger) {
				l.names = append(l.names, l.dir, "DIR")
				a, b := unixEnds(l, network)
				p, oob := make([]byte, 8), make([]byte, 64)
				write := func(what string, p, oob []byte, to *net.UnixAddr) {
					n, oobn, err := a.WriteMsgUnix(p, oob, to)
					l.note("WriteMsgUnix "+what, n, oobn, err)
				}
				read := func(what string, p, oob []byte) {
					n, oobn, flags, from, err := b.ReadMsgUnix(p, oob)
					l.note("ReadMsgUnix "+what, n, oobn, flags, from, err)
				}
				rights := unix.UnixRights(0)
				write("something", []byte("one"), nil, nil)
				read("something", p, oob)
				write("a descriptor", []byte("two"), rights, nil)
				read("a descriptor", p, oob)
				closeRights(t, oob)
				write("a descriptor only", nil, rights, nil)
				read("a descriptor only", p, oob)
				closeRights(t, oob)
				write("for nothing", []byte("x"), nil, nil)
				read("into nothing but control", nil, oob)
				write("a descriptor for nobody", []byte("x"), rights, nil)
				read("with no room", p, nil)
				write("with an address", []byte("x"), nil, &net.UnixAddr{Name: l.dir + "/x", Net: network})
				write("with another network", []byte("x"), nil, &net.UnixAddr{Name: "x", Net: "unixgram"})
				write("bad control data", []byte("x"), []byte{1, 2, 3}, nil)
				b.SetReadDeadline(time.Unix(1, 0))
				read("expired", p, oob)
				b.SetReadDeadline(time.Time{})
				a.Close()
				write("closed", []byte("x"), nil, nil)
				for network == "unix" { // what was sent with an address, if it was
					n, _, _, _, err := b.ReadMsgUnix(p, oob)
					if n == 0 || err != nil {
						break
					}
				}
				read("the end", p, oob)
				read("the end, nothing", nil, nil)
				write("to the end", []byte("x"), nil, nil)
				b.Close()
				read("closed", p, oob)
			})
		})
	}
}

// closeRights closes the descriptors in control data, if it has some.
func closeRights(t *testing.T, oob []byte) {
	t.Helper()
	header, data, _, err := unix.ParseOneSocketControlMessage(oob)
	if err != nil || header.Type != unix.SCM_RIGHTS {
		t.Fatalf("no descriptors: %+v, %v", header, err)
	}
	messages := []unix.SocketControlMessage{{Header: header, Data: data}}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	clear(oob)
}

func TestPassedDescriptorSurvivesExec(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, network := range []string{"unix", "unixpacket"} {
			l := &ledger{t: t, d: d, dir: t.TempDir()}
			a, b := unixEnds(l, network)
			passDescriptor(t, func(p, oob []byte) error {
				_, _, err := a.WriteMsgUnix(p, oob, nil)
				return err
			}, func(p, oob []byte) (int, int, error) {
				n, oobn, _, _, err := b.ReadMsgUnix(p, oob)
				return n, oobn, err
			})
		}
		dir := t.TempDir()
		b, err := d.ListenPacket(context.Background(), "unixgram", dir+"/b")
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		a, err := d.ListenPacket(context.Background(), "unixgram", dir+"/a")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		send := func(p, oob []byte) error {
			_, _, err := a.WriteMsgUnix(p, oob, b.LocalAddr().(*net.UnixAddr))
			return err
		}
		passDescriptor(t, send, func(p, oob []byte) (int, int, error) {
			n, oobn, _, _, err := b.ReadMsgUnix(p, oob)
			return n, oobn, err
		})
		passDescriptor(t, send, func(p, oob []byte) (int, int, error) {
			m := []eddy.Message{{Buf: p, OOB: oob}, {}}
			_, err := b.ReadBatch(context.Background(), m)
			return m[0].N, m[0].NN, err
		})
	})
}

// passDescriptor passes one end of a pipe, and uses what comes out.
func passDescriptor(t *testing.T, send func(p, oob []byte) error, receive func(p, oob []byte) (int, int, error)) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := send([]byte("take it"), unix.UnixRights(int(w.Fd()))); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(4))
	n, oobn, err := receive(p, oob)
	if string(p[:n]) != "take it" || oobn != len(oob) || err != nil {
		t.Fatalf("%q with %d bytes of control data: %v", p[:n], oobn, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%v, %v", fds, err)
	}
	passed := os.NewFile(uintptr(fds[0]), "passed")
	defer passed.Close()
	flags, err := unix.FcntlInt(passed.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor has flags %#x: %v", flags, err)
	}
	if _, err := passed.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	passed.Close()
	if got, err := io.ReadAll(r); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
