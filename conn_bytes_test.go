package eddy_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eddyio/eddy"
)

// stream is an endless sequence of bytes that a seed determines.
type stream struct{ random *rand.ChaCha8 }

func newStream(seed byte) stream { return stream{rand.NewChaCha8([32]byte{seed})} }

// fill gives the next bytes, however they are cut.
func (s stream) fill(p []byte) { s.random.Read(p) }

// sendStream writes size bytes of a stream in chunks of random size, with deadlines
// that expire and are renewed, and TCP_NODELAY on and off.
func sendStream(c *eddy.Conn, seed byte, size int64, expired *atomic.Int64) error {
	bytes := newStream(seed)
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	buffer := make([]byte, 128<<10)
	for size > 0 {
		p := buffer[:min(size, int64(8+8*random.IntN(len(buffer)/8-1)))]
		bytes.fill(p)
		size -= int64(len(p))
		switch random.IntN(32) {
		case 0:
			if err := c.SetNoDelay(random.IntN(2) == 0); err != nil {
				return err
			}
		case 1:
			if err := c.SetWriteDeadline(time.Now().Add(time.Duration(random.IntN(2000)) * time.Microsecond)); err != nil {
				return err
			}
		}
		for len(p) > 0 {
			n, err := c.Write(p)
			p = p[n:]
			if errors.Is(err, os.ErrDeadlineExceeded) {
				expired.Add(1)
				err = c.SetWriteDeadline(time.Time{})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

var errWrongBytes = errors.New("other bytes arrived than were sent")

// checkStream reads them, likewise.
func checkStream(c *eddy.Conn, seed byte, size int64, expired *atomic.Int64) error {
	stream := newStream(seed)
	random := rand.New(rand.NewPCG(uint64(seed), 2))
	buffer := make([]byte, 128<<10)
	want := make([]byte, len(buffer))
	for size > 0 {
		if random.IntN(32) == 0 {
			if err := c.SetReadDeadline(time.Now().Add(time.Duration(random.IntN(2000)) * time.Microsecond)); err != nil {
				return err
			}
		}
		p := buffer[:min(size, int64(8+8*random.IntN(len(buffer)/8-1)))]
		for got := 0; got < len(p); {
			n, err := c.Read(p[got:])
			got += n
			if errors.Is(err, os.ErrDeadlineExceeded) {
				expired.Add(1)
				err = c.SetReadDeadline(time.Time{})
			}
			if err != nil {
				return err
			}
		}
		stream.fill(want[:len(p)])
		if !bytes.Equal(p, want[:len(p)]) {
			return errWrongBytes
		}
		size -= int64(len(p))
	}
	return nil
}

// 64 connections move data both ways at once; every byte arrives, in order.
// EDDY_TEST_LONG=1 makes it 256 MiB each way on each.
func TestBytesAreLostOrOutOfOrder(t *testing.T) {
	size := int64(1 << 20)
	if long {
		size = 256 << 20
	}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		begun := time.Now()
		var reads, writes atomic.Int64 // that a deadline has ended
		var workers sync.WaitGroup
		for i := range 64 {
			client, server := connect(t, d, "tcp")
			there, back := byte(2*i), byte(2*i+1)
			for what, f := range map[string]func() error{
				"client's Write": func() error { return sendStream(client, there, size, &writes) },
				"server's Write": func() error { return sendStream(server, back, size, &writes) },
				"server's Read":  func() error { return checkStream(server, there, size, &reads) },
				"client's Read":  func() error { return checkStream(client, back, size, &reads) },
			} {
				workers.Go(func() {
					if err := f(); err != nil {
						t.Errorf("connection %d, %s: %v", i, what, err)
						client.Close()
						server.Close()
					}
				})
			}
		}
		workers.Wait()
		t.Logf("64 times %d MiB both ways took %v, with %d reads and %d writes past their deadlines",
			size>>20, time.Since(begun), reads.Load(), writes.Load())
		if long && (reads.Load() == 0 || writes.Load() == 0) {
			t.Error("no deadline has ended any: they are not tested")
		}
	})
}

// received is everything that arrives until the end.
func received(t *testing.T, c *eddy.Conn) func() []byte {
	t.Helper()
	got := make(chan []byte, 1)
	go func() {
		c.SetReadDeadline(time.Now().Add(patience))
		data, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		got <- data
	}()
	return func() []byte { return <-got }
}

func wantBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes arrived, not the %d that were to, or others", what, len(got), len(want))
	}
}

func TestCopyOfFileSendsOtherBytes(t *testing.T) {
	size := 3<<20 + 17
	if testing.Short() {
		size = 1<<20 + 17
	}
	data := pattern(size)
	const skip = 1001
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		name := tempFile(t, data)
		readers := map[string]func() (io.Reader, io.Seeker, io.Closer){
			"os.File": func() (io.Reader, io.Seeker, io.Closer) {
				f, err := os.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				return f, f, f
			},
			"File": func() (io.Reader, io.Seeker, io.Closer) {
				f := open(t, d, name, os.O_RDONLY)
				return f, f, f
			},
		}
		for what, open := range readers {
			for _, limit := range []int64{-1, 0, 1, int64(len(data) / 3), int64(len(data)) * 2} {
				client, server := connect(t, d, network)
				overfull(t, client, server) // nor does it all fit at once
				get := received(t, server)
				r, file, closer := open()
				if _, err := file.Seek(skip, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				want := data[skip:]
				var limited *io.LimitedReader
				if limit >= 0 {
					limited = &io.LimitedReader{R: r, N: limit}
					r = limited
					want = want[:min(limit, int64(len(want)))]
				}
				n, err := io.Copy(client, r)
				if n != int64(len(want)) || err != nil {
					t.Errorf("%s, limit %d: %d copied, %v", what, limit, n, err)
				}
				if limited != nil && limited.N != limit-n {
					t.Errorf("%s, limit %d: %d copied, and the limit is %d", what, limit, n, limited.N)
				}
				if at, err := file.Seek(0, io.SeekCurrent); at != skip+n || err != nil {
					t.Errorf("%s, limit %d: %d copied from %d on, and the file stands at %d, %v", what, limit, n, skip, at, err)
				}
				client.Close()
				wantBytes(t, what, get(), want)
				closer.Close()
			}
		}
	})
}

func TestCopyOfOddFileSendsOtherBytes(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		for _, name := range []string{"/proc/version", "/proc/self/limits", "/sys/kernel/mm/transparent_hugepage/enabled", "/dev/null"} {
			want, err := os.ReadFile(name)
			if err != nil {
				continue // not every system has all of them
			}
			client, server := connect(t, d, network)
			get := received(t, server)
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(client, f); n != int64(len(want)) || err != nil {
				t.Errorf("%s: %d copied, %v", name, n, err)
			}
			f.Close()
			client.Close()
			wantBytes(t, name, get(), want)
		}
		// A pipe, and a reader that is none of ours.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		client, server := connect(t, d, network)
		get := received(t, server)
		go func() {
			w.WriteString("through a pipe")
			w.Close()
		}()
		n, err := io.Copy(client, r)
		m, err2 := io.Copy(client, strings.NewReader(" and not"))
		if n != 14 || m != 8 || err != nil || err2 != nil {
			t.Errorf("%d, %d, %v, %v", n, m, err, err2)
		}
		r.Close()
		client.Close()
		wantBytes(t, "a pipe and a string", get(), []byte("through a pipe and not"))
	})
}

func TestCopyOfFileToClosedPeerHangs(t *testing.T) {
	name := tempFile(t, pattern(8<<20))
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		client, server := connect(t, d, network)
		f := open(t, d, name, os.O_RDONLY)
		time.AfterFunc(20*time.Millisecond, func() { server.Close() })
		within(t, patience, "a copy to a peer that closes", func() {
			n, err := io.Copy(client, f)
			var op *net.OpError
			if n >= 8<<20 || !errors.As(err, &op) {
				t.Errorf("%d copied, %v", n, err)
			}
		})
		client, _ = connect(t, d, network)
		client.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		f = open(t, d, name, os.O_RDONLY)
		within(t, patience, "a copy with a deadline", func() {
			n, err := io.Copy(client, f)
			wantTimeout(t, "Copy", err)
			// A copy by way of memory, which is std's between some kinds, has read
			// more than it could write.
			exact := d.Status().Backend != eddy.BackendPortable
			if at, seekErr := f.Seek(0, io.SeekCurrent); at < n || exact && at != n || seekErr != nil {
				t.Errorf("%d copied, and the file stands at %d, %v", n, at, seekErr)
			}
		})
	})
}

// dropPipes returns what makes the collector close the pipes that copies keep for
// the next from here on, which would be taken for leaks. One that it cannot reach
// stays, and is one.
func dropPipes(t *testing.T) func() {
	t.Helper()
	before := countPipes()
	return func() {
		for end := time.Now().Add(patience / 4); time.Now().Before(end); time.Sleep(time.Millisecond) {
			runtime.GC()
			if countPipes() <= before {
				return
			}
		}
	}
}

func countPipes() (n int) {
	for _, what := range descriptors() {
		if strings.HasPrefix(what, "pipe:") {
			n++
		}
	}
	return n
}

// proxy is two connections: what is written to the first is copied to the second.
func proxy(t *testing.T, d *eddy.Driver, from, to string) (in, source, target, out *eddy.Conn) {
	in, source = connect(t, d, from)
	target, out = connect(t, d, to)
	return in, source, target, out
}

func TestCopyBetweenConnsSendsOtherBytes(t *testing.T) {
	data := make([]byte, 1<<20+13)
	newStream(9).fill(data)
	kinds := [][2]string{{"tcp", "tcp"}, {"tcp4", "unix"}, {"unix", "tcp"}, {"unix", "unix"}}
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		defer dropPipes(t)()
		for _, kind := range kinds {
			if runtime.GOOS == "windows" {
				continue
			}
			for _, limit := range []int64{-1, 0, 1, 1 << 19, int64(len(data)) * 2} {
				in, source, target, out := proxy(t, d, kind[0], kind[1])
				get := received(t, out)
				go func() {
					in.Write(data)
					in.CloseWrite()
				}()
				want := data
				var r io.Reader = source
				var limited *io.LimitedReader
				if limit >= 0 {
					limited = &io.LimitedReader{R: r, N: limit}
					r = limited
					want = want[:min(limit, int64(len(want)))]
				}
				source.SetReadDeadline(time.Now().Add(patience))
				n, err := io.Copy(target, r)
				if n != int64(len(want)) || err != nil {
					t.Errorf("%v, limit %d: %d copied, %v", kind, limit, n, err)
				}
				if limited != nil && limited.N != limit-n {
					t.Errorf("%v, limit %d: %d copied, and the limit is %d", kind, limit, n, limited.N)
				}
				target.Close()
				wantBytes(t, kind[0]+" to "+kind[1], get(), want)
				if limit > 0 && limit < int64(len(data)) {
					// What was not copied has not been taken either.
					p := make([]byte, 100)
					if _, err := io.ReadFull(source, p); err != nil || !bytes.Equal(p, data[limit:limit+100]) {
						t.Errorf("%v, limit %d: what follows is lost, %v", kind, limit, err)
					}
				}
				for _, c := range []*eddy.Conn{in, source, out} {
					c.Close()
				}
			}
		}
	})
}

// Deadlines hold for the side they were set for, and what a copy took before it
// ended was passed on.
func TestCopyBetweenConnsIgnoresDeadline(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		defer dropPipes(t)()
		for range 3 { // the pipe that is used again must be empty
			in, source, target, out := proxy(t, d, "tcp", "tcp")
			mustWrite(t, in, []byte("before"))
			source.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			within(t, patience, "a copy whose source has a deadline", func() {
				n, err := io.Copy(target, source)
				wantTimeout(t, "Copy", err)
				if n != 6 {
					t.Errorf("%d bytes copied", n)
				}
			})
			mustRead(t, out, "before")
			source.SetReadDeadline(time.Time{})

			target.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			go in.Write(make([]byte, 32<<20))
			within(t, patience, "a copy whose target has a deadline", func() {
				_, err := target.ReadFrom(source)
				wantTimeout(t, "ReadFrom", err)
			})
			for _, c := range []*eddy.Conn{in, source, target, out} {
				c.Close()
			}
			in, source, target, out = proxy(t, d, "tcp", "tcp")
			get := received(t, out)
			mustWrite(t, in, []byte("clean"))
			in.CloseWrite()
			if n, err := io.Copy(target, source); n != 5 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			target.Close()
			wantBytes(t, "after a copy that failed", get(), []byte("clean"))
		}
	})
}

func TestBuffersSendOtherBytes(t *testing.T) {
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		random := rand.New(rand.NewPCG(5, 6))
		for _, count := range []int{0, 1, 2, 1023, 1024, 1025, 5000} {
			client, server := connect(t, d, network)
			data := pattern(count * 40)
			var buffers net.Buffers
			var want []byte
			for range count {
				size := 0
				if random.IntN(4) > 0 { // many are empty
					size = random.IntN(40)
				}
				p := data[:size]
				data = data[size:]
				buffers = append(buffers, p)
				want = append(want, p...)
			}
			if count == 2 {
				large := pattern(overfull(t, client, server))
				buffers, want = net.Buffers{large, nil, pattern(100)}, slices.Concat(large, pattern(100))
			}
			if count == 1025 {
				clear(buffers[:1024]) // a call that could say nothing but 0
				want = buffers[1024]
			}
			twin, third := slices.Clone(buffers), slices.Clone(buffers)
			get := received(t, server)
			n, err := client.WriteBuffers(&buffers)
			if n != int64(len(want)) || err != nil || len(bytes.Join(buffers, nil)) != 0 {
				t.Errorf("%d buffers: %d written, %v, %d buffers left", count, n, err, len(buffers))
			}
			n, err = client.ReadFrom(&twin)
			if n != int64(len(want)) || err != nil || len(bytes.Join(twin, nil)) != 0 {
				t.Errorf("%d buffers: %d copied, %v, %d buffers left", count, n, err, len(twin))
			}
			// Here it is std that writes, a buffer at a time.
			n, err = third.WriteTo(client)
			if n != int64(len(want)) || err != nil || len(bytes.Join(third, nil)) != 0 {
				t.Errorf("%d buffers: %d written by net.Buffers, %v, %d buffers left", count, n, err, len(third))
			}
			client.Close()
			wantBytes(t, "buffers", get(), bytes.Repeat(want, 3))
		}
	})
}

// What a WriteBuffers that ends past its deadline leaves is what was not sent.
func TestTimedOutBuffersAreMiscounted(t *testing.T) {
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		client, server := connect(t, d, network)
		data := pattern(overfull(t, client, server))
		var buffers net.Buffers
		for p := data; len(p) > 0; p = p[min(len(p), 10_007):] {
			buffers = append(buffers, p[:min(len(p), 10_007)])
		}
		client.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := client.WriteBuffers(&buffers)
		wantTimeout(t, "WriteBuffers", err)
		left := 0
		for _, p := range buffers {
			left += len(p)
		}
		if int(n)+left != len(data) {
			t.Errorf("%d written and %d left of %d bytes", n, left, len(data))
		}
		client.SetWriteDeadline(time.Time{})
		get := received(t, server)
		if m, err := client.WriteBuffers(&buffers); int(m) != left || err != nil {
			t.Errorf("the rest: %d, %v", m, err)
		}
		client.Close()
		wantBytes(t, "buffers with a deadline", get(), data)
	})
}

// Where there is nothing to write, Close and the deadline are looked at all the
// same, as std does.
func TestBuffersOfNothingPassAClosedConnection(t *testing.T) {
	lists := map[string]func() net.Buffers{
		"no list":       func() net.Buffers { return nil },
		"no buffers":    func() net.Buffers { return net.Buffers{} },
		"empty buffers": func() net.Buffers { return net.Buffers{nil, {}} },
	}
	eachStream(t, func(t *testing.T, d *eddy.Driver, network string) {
		for state, prepare := range map[string]func(c net.Conn){
			"open":             func(net.Conn) {},
			"past a deadline":  func(c net.Conn) { c.SetWriteDeadline(past) },
			"after CloseWrite": func(c net.Conn) { c.(interface{ CloseWrite() error }).CloseWrite() },
			"closed":           func(c net.Conn) { c.Close() },
		} {
			ours, _ := connect(t, d, network)
			l, err := net.Listen(network, anyAddress(t, network))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			prepare(ours)
			prepare(theirs)
			for what, list := range lists {
				got, want := list(), list()
				n, err := ours.WriteBuffers(&got)
				m, stds := want.WriteTo(theirs)
				if n != m || len(got) != len(want) || (err == nil) != (stds == nil) {
					t.Errorf("%s, %s: %d, %v, %d buffers left; std: %d, %v, %d left", what, state, n, err, len(got), m, stds, len(want))
				}
				for _, reason := range []error{net.ErrClosed, os.ErrDeadlineExceeded} {
					if errors.Is(err, reason) != errors.Is(stds, reason) {
						t.Errorf("%s, %s: %v, but std: %v", what, state, err, stds)
					}
				}
			}
			theirs.Close()
			l.Close()
		}
	})
}
