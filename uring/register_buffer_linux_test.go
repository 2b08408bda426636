package uring_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

func TestRegisteredBufferIsAnotherOne(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	f := openFile(t, "0123456789")
	fd := int(f.Fd())
	buffers := [][]byte{pinnedBytes(t, 16), pinnedBytes(t, 16)}
	fatalIf(t, r.RegisterBuffers(buffers))
	wantErr(t, "a second table", r.RegisterBuffers(buffers), unix.EBUSY)
	must(t, r, func(s *uring.SQE) { s.PrepReadFixed(fd, buffers[1][4:8], 2, 1) })
	if string(buffers[1][4:8]) != "2345" {
		t.Errorf("read %q", buffers[1])
	}
	c := do(t, r, func(s *uring.SQE) { s.PrepReadFixed(fd, buffers[1][4:8], 2, 0) })
	wantErr(t, "memory of another buffer", c.Err(), unix.EFAULT)
	copy(buffers[0], "abc")
	must(t, r, func(s *uring.SQE) { s.PrepWriteFixed(fd, buffers[0][:3], 5, 0) })
	if content(t, f) != "01234abc89" {
		t.Errorf("wrote %q", content(t, f))
	}
	fatalIf(t, r.UnregisterBuffers())
	wantErr(t, "unregistering again", r.UnregisterBuffers(), unix.ENXIO)

	orSkip(t, "RegisterBuffersSparse", r.RegisterBuffersSparse(4))
	c = do(t, r, func(s *uring.SQE) { s.PrepReadFixed(fd, buffers[0], 0, 2) })
	wantErr(t, "an empty place", c.Err(), unix.EFAULT)
	if n, err := r.RegisterBuffersUpdate(2, buffers, []uint64{0, 4711}); n != 2 || err != nil {
		t.Fatalf("RegisterBuffersUpdate = %d, %v", n, err)
	}
	must(t, r, func(s *uring.SQE) { s.PrepReadFixed(fd, buffers[1][:3], 1, 3) })
	if string(buffers[1][:3]) != "123" {
		t.Errorf("read %q", buffers[1])
	}
	if n, err := r.RegisterBuffersUpdate(3, buffers[:1], nil); n != 1 || err != nil {
		t.Fatalf("RegisterBuffersUpdate = %d, %v", n, err)
	}
	if c := reap(t, r, 1)[0]; c.UserData != 4711 {
		t.Errorf("the buffer's tag: %+v", c)
	}
	_, err := r.RegisterBuffersUpdate(0, buffers, []uint64{1})
	wantErr(t, "a tag is missing", err, unix.EINVAL)
	_, err = r.RegisterBuffersUpdate(9, buffers, nil)
	wantErr(t, "outside of the table", err, unix.EINVAL)

	needOps(t, r, uring.OpReadvFixed, uring.OpWritevFixed)
	vectors := []unix.Iovec{iovec(buffers[0][:2]), iovec(buffers[0][4:6])}
	pin(t, &vectors[0])
	must(t, r, func(s *uring.SQE) { s.PrepReadvFixed(fd, vectors, 3, 0, 2) })
	if got := string(buffers[0][:2]) + string(buffers[0][4:6]); got != "34ab" {
		t.Errorf("readv read %q", got)
	}
	must(t, r, func(s *uring.SQE) { s.PrepWritevFixed(fd, vectors, 0, 0, 2) })
	if content(t, f) != "34ab4abc89" {
		t.Errorf("writev wrote %q", content(t, f))
	}
}

// TestRegisteredBufferIsCollected drops the last reference of ours to a
// registered buffer; the ring's own must keep it.
func TestRegisteredBufferIsCollected(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	collected := make(chan string, 4)
	register := func() {
		p := make([]byte, 1<<16)
		runtime.AddCleanup(&p[0], func(name string) { collected <- name }, "buffer")
		fatalIf(t, r.RegisterBuffers([][]byte{p}))
	}
	register()
	b, err := r.RegisterBufferRing(4, 1, 0)
	orSkip(t, "RegisterBufferRing", err)
	add := func() {
		p := make([]byte, 1<<16)
		runtime.AddCleanup(&p[0], func(name string) { collected <- name }, "ring buffer")
		b.Add(p, 2)
		b.Advance(1)
	}
	add()
	for range 3 {
		runtime.GC()
	}
	select {
	case name := <-collected:
		t.Fatalf("the %s was collected", name)
	case <-time.After(10 * time.Millisecond):
	}
	fatalIf(t, r.UnregisterBuffers())
	fatalIf(t, r.UnregisterBufferRing(b))
	for range 2 {
		eventually(t, "both are collected when unregistered", func() bool {
			runtime.GC()
			select {
			case <-collected:
				return true
			default:
				return false
			}
		})
	}
}

func TestClonedBufferIsAnotherOne(t *testing.T) {
	from, to := newRing(t, 8, uring.Config{}), newRing(t, 8, uring.Config{})
	f := openFile(t, "0123456789")
	buffers := [][]byte{pinnedBytes(t, 8), pinnedBytes(t, 8), pinnedBytes(t, 8)}
	fatalIf(t, from.RegisterBuffers(buffers))
	err := to.CloneBuffers(from, 0, 0, 0, false)
	orSkip(t, "CloneBuffers", err)
	check := func(index uint16, p []byte) {
		t.Helper()
		clear(p)
		if must(t, to, func(s *uring.SQE) { s.PrepReadFixed(int(f.Fd()), p, 1, index) }); string(p) != "12345678" {
			t.Errorf("buffer %d: %q", index, p)
		}
	}
	check(2, buffers[2])
	wantErr(t, "into a table", to.CloneBuffers(from, 0, 0, 0, false), unix.EBUSY)
	wantErr(t, "from itself", to.CloneBuffers(to, 0, 0, 0, false), unix.EINVAL)
	err = to.CloneBuffers(from, 1, 4, 2, true)
	if err == unix.EBUSY {
		skipKernel(t, "CloneBuffers into a table: %v", err)
	}
	orSkip(t, "CloneBuffers with offsets", err)
	check(0, buffers[0])
	check(5, buffers[2])
	fatalIf(t, from.Close())
	check(4, buffers[1])
}

func TestBufferRingHandsOutWrongBuffer(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	const entries = 4
	b, err := r.RegisterBufferRing(entries, 9, 0)
	orSkip(t, "RegisterBufferRing", err)
	_, err = r.RegisterBufferRing(entries, 9, 0)
	wantErr(t, "the same group again", err, unix.EEXIST)
	for _, n := range []uint32{0, 3, 1 << 16} {
		_, err = r.RegisterBufferRing(n, 10, 0)
		wantErr(t, fmt.Sprint(n, " entries"), err, unix.EINVAL)
	}
	a, z := socketPair(t)
	receive := func(s *uring.SQE) { s.PrepRecvSelect(a, 9, 0, false) }
	write(t, z, "early")
	wantErr(t, "without buffers", do(t, r, receive).Err(), unix.ENOBUFS)

	// Ids in another order than places, and the place next to the tail too.
	buffers := map[uint16][]byte{}
	for _, id := range []uint16{300, 2, 65535, 0} {
		buffers[id] = pinnedBytes(t, 16)
		b.Add(buffers[id], id)
	}
	wantErr(t, "before Advance", do(t, r, receive).Err(), unix.ENOBUFS)
	b.Advance(1)
	if n, err := b.Available(); err == nil && n != 1 {
		t.Errorf("%d buffers are available after Advance(1)", n)
	}
	b.Advance(100)
	if b.Group() != 9 || b.Entries() != entries {
		t.Errorf("group %d, %d entries", b.Group(), b.Entries())
	}
	order := []uint16{300, 2, 65535, 0}
	expect := "early"
	for round := range 100000 / 8 {
		c := do(t, r, receive)
		id, ok := c.BufferID()
		if !ok || id != order[round%4] || string(buffers[id][:max(c.Res, 0)]) != expect {
			t.Fatalf("round %d: %+v, buffer %d %q, want %d %q", round, c, id, buffers[id], order[round%4], expect)
		}
		b.Add(buffers[id], id)
		b.Advance(1)
		expect = fmt.Sprint("round ", round)
		write(t, z, expect)
	}
	head, err := b.Head()
	orSkip(t, "Head", err)
	if n, err := b.Available(); head != 100000/8 || n != entries || err != nil {
		t.Errorf("head %d, available %d, %v", head, n, err)
	}
	fatalIf(t, r.UnregisterBufferRing(b))
	wantErr(t, "unregistering again", r.UnregisterBufferRing(b), unix.EINVAL)
	wantErr(t, "a group that is gone", do(t, r, receive).Err(), unix.ENOBUFS)
	b.Add(buffers[0], 0)
	b.Advance(1)
}

func TestBufferRingTailWrapsWrong(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	b, err := r.RegisterBufferRing(32768, 1, 0)
	orSkip(t, "RegisterBufferRing", err)
	p := pinnedBytes(t, 8)
	in, out := pipe(t)
	for round := range 5 { // the 16-bit tail wraps every two rounds
		for i := range 32768 {
			b.Add(p, uint16(i))
		}
		b.Advance(32768)
		if n, err := b.Available(); err == nil && n != 32768 {
			t.Fatalf("round %d: %d available", round, n)
		}
		write(t, out, "x")
		c := do(t, r, func(s *uring.SQE) {
			s.PrepRead(in, nil, uring.CurrentPosition)
			s.Flags |= uring.SQEBufferSelect
			s.BufIndex = b.Group()
		})
		if id, ok := c.BufferID(); c.Res != 1 || !ok || id != 0 {
			t.Fatalf("round %d: %+v", round, c)
		}
		// Empty it: 32767 more cannot be read one by one in a test.
		fatalIf(t, r.UnregisterBufferRing(b))
		b, err = r.RegisterBufferRing(32768, uint16(round+2), 0)
		fatalIf(t, err)
	}
}

func TestMultishotReadStopsOrMixesBuffers(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	needOps(t, r, uring.OpReadMultishot)
	b, err := r.RegisterBufferRing(4, 3, 0)
	fatalIf(t, err)
	var buffers [4][]byte
	for i := range buffers {
		buffers[i] = pinnedBytes(t, 8)
		b.Add(buffers[i], uint16(i))
	}
	b.Advance(4)
	in, out := pipe(t)
	a, z := socketPair(t)
	next(t, r, 1).PrepReadMultishot(in, 3)
	next(t, r, 2).PrepRecvSelect(a, 3, 0, true)
	submit(t, r)
	for round := range 20 {
		fd := out
		if round%2 == 1 {
			fd = z
		}
		text := fmt.Sprint("n", round)
		write(t, fd, text)
		c := reap(t, r, 1)[0]
		id, ok := c.BufferID()
		if c.UserData != uint64(round%2+1) || !ok || !c.More() || string(buffers[id][:max(c.Res, 0)]) != text {
			t.Fatalf("round %d: %+v, %q", round, c, buffers)
		}
		b.Add(buffers[id], id)
		b.Advance(1)
	}
	fatalIf(t, unix.Shutdown(z, unix.SHUT_WR))
	if c := reap(t, r, 1)[0]; c.UserData != 2 || c.Res != 0 || c.More() {
		t.Errorf("at the end of the stream: %+v", c)
	}
	next(t, r, 3).PrepCancel(1, 0)
	if all := byUserData(t, reap(t, r, 2)); all[1].More() {
		t.Errorf("after the cancel: %v", all)
	}
}

func TestIncrementalBufferIsGivenBackEarly(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	b, err := r.RegisterBufferRing(2, 1, uring.BufferRingIncremental)
	orSkip(t, "incremental buffers", err)
	p := pinnedBytes(t, 10)
	b.Add(p, 5)
	b.Advance(1)
	a, z := socketPair(t)
	at := 0
	for _, text := range []string{"abc", "defg", "hij"} {
		write(t, z, text)
		c := do(t, r, func(s *uring.SQE) { s.PrepRecvSelect(a, 1, 0, false) })
		id, ok := c.BufferID()
		more := c.Flags&uring.CQEFBufMore != 0
		if !ok || id != 5 || string(p[at:at+int(c.Res)]) != text || more != (at+len(text) < len(p)) {
			t.Fatalf("%+v: buffer %d, more of it %v, %q at %d", c, id, more, p, at)
		}
		at += int(c.Res)
	}
}

func TestProvidedBuffersStay(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	p := pinnedBytes(t, 32)
	must(t, r, func(s *uring.SQE) { s.PrepProvideBuffers(p, 8, 4, 6, 100) })
	a, z := socketPair(t)
	write(t, z, "hello")
	c := do(t, r, func(s *uring.SQE) { s.PrepRecvSelect(a, 6, 0, false); s.Len = 8 })
	if id, ok := c.BufferID(); !ok || id < 100 || id > 103 || string(p[8*(id-100):8*(id-100)+5]) != "hello" {
		t.Errorf("%+v, %q", c, p)
	}
	if n := must(t, r, func(s *uring.SQE) { s.PrepRemoveBuffers(10, 6) }); n != 3 {
		t.Errorf("removed %d, want 3", n)
	}
}
