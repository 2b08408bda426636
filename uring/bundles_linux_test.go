package uring_test

import (
	"bytes"
	"testing"

	"github.com/eddyio/eddy/uring"
	"golang.org/x/sys/unix"
)

// bundle is what a completion of a bundle tells: ids from the first one on, in
// the order in which they were given.
func bundle(c uring.CQE, order []uint16, buffers [][]byte) (got []byte, used []uint16) {
	first, ok := c.BufferID()
	if !ok || c.Res <= 0 {
		return nil, nil
	}
	at := 0
	for order[at] != first {
		at++
	}
	for left := int(c.Res); left > 0; at++ {
		id := order[at%len(order)]
		n := min(left, len(buffers[id]))
		got = append(got, buffers[id][:n]...)
		used = append(used, id)
		left -= n
	}
	return got, used
}

func needBundles(t *testing.T, r *uring.Ring) {
	t.Helper()
	needFeature(t, r, uring.FeatRecvsendBundle)
}

// TestBundleOfReceivesIsOutOfOrder receives several buffers with one completion,
// by one receive and by a multishot one, in pieces of every size.
func TestBundleOfReceivesIsOutOfOrder(t *testing.T) {
	for _, multishot := range []bool{false, true} {
		eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
			needBundles(t, r)
			b, buffers := bufferGroup(t, r, 32, 16, 1, 0)
			a, z := tcpPair(t)
			order := make([]uint16, 32)
			for i := range order {
				order[i] = uint16(i)
			}
			arm := func() {
				s := next(t, r, target)
				s.PrepRecvSelect(a, 1, 0, multishot)
				s.Ioprio |= uring.RecvSendBundle
				submit(t, r)
			}
			var sent, got []byte
			armed := false
			largest := 0
			for round := range 60 {
				piece := pattern(1 + round*29%300)
				write(t, z, string(piece))
				sent = append(sent, piece...)
				for len(got) < len(sent) {
					if !armed {
						arm()
					}
					c := sequence(t, r, target)[0]
					armed = c.More()
					if c.Err() == unix.ENOBUFS {
						continue
					}
					p, used := bundle(c, order, buffers)
					if p == nil {
						t.Fatalf("round %d: %+v", round, c)
					}
					got = append(got, p...)
					largest = max(largest, len(used))
					giveBack(b, buffers, used...)
				}
			}
			if !bytes.Equal(got, sent) || largest < 2 {
				t.Errorf("%d bytes of %d, the same: %v; at most %d buffers at once", len(got), len(sent), bytes.Equal(got, sent), largest)
			}
			if armed {
				next(t, r, 1).PrepCancel(target, 0)
				reap(t, r, 2)
			}
		})
	}
}

// TestBundleOfSendsIsOutOfOrder sends the buffers of a group, one at a time and
// many at once.
func TestBundleOfSendsIsOutOfOrder(t *testing.T) {
	eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
		needBundles(t, r)
		a, z := tcpPair(t)
		b, buffers := bufferGroup(t, r, 8, 100, 1, 0)
		var want []byte
		for i, p := range buffers {
			copy(p, bytes.Repeat([]byte{byte('a' + i)}, len(p)))
			want = append(want, p...)
		}
		c := do(t, r, func(s *uring.SQE) { s.PrepSendSelect(a, 1, 0) })
		if id, ok := c.BufferID(); !ok || id != 0 || c.Res != 100 {
			t.Fatalf("one buffer: %+v", c)
		}
		sent := 100
		for sent < len(want) {
			c := do(t, r, func(s *uring.SQE) {
				s.PrepSendSelect(a, 1, unix.MSG_WAITALL)
				s.Ioprio |= uring.RecvSendBundle
			})
			if id, ok := c.BufferID(); !ok || int(id) != sent/100 || c.Res <= 0 {
				t.Fatalf("the rest, after %d bytes: %+v", sent, c)
			}
			sent += int(c.Res)
		}
		got := pinnedBytes(t, len(want))
		must(t, r, func(s *uring.SQE) { s.PrepRecv(z, got, unix.MSG_WAITALL) })
		if !bytes.Equal(got, want) {
			t.Errorf("received %q", got)
		}
		wantErr(t, "without buffers", do(t, r, func(s *uring.SQE) { s.PrepSendSelect(a, 1, 0) }).Err(), unix.ENOBUFS)
		_ = b
	})
}

// TestFailedBundleShrinksItsBuffer receives with a limit and without data, after
// which the buffers must have their whole length.
func TestFailedBundleShrinksItsBuffer(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "bundles that leave their buffers alone", uring.OpPipe)
	b, buffers := bufferGroup(t, r, 2, 64, 1, 0)
	a, z := socketPair(t)
	receive := func(n uint32, flags uint32) uring.CQE {
		return do(t, r, func(s *uring.SQE) {
			s.PrepRecvSelect(a, 1, flags, false)
			s.Ioprio |= uring.RecvSendBundle
			s.Len = n
		})
	}
	wantErr(t, "without data", receive(16, unix.MSG_DONTWAIT).Err(), unix.EAGAIN)
	write(t, z, string(pattern(64)))
	c := receive(0, 0)
	id, ok := c.BufferID()
	if !ok || id != 0 || c.Res != 64 || !bytes.Equal(buffers[0], pattern(64)) {
		t.Errorf("after the failure: %+v", c)
	}
	giveBack(b, buffers, 0)
}

// TestIncrementalBufferLosesItsPlace receives by multishot into buffers that are
// used piece by piece, and checks where each piece lies.
func TestIncrementalBufferLosesItsPlace(t *testing.T) {
	for _, bundled := range []bool{false, true} {
		eachRing(t, 16, func(t *testing.T, r *uring.Ring) {
			since(t, r, "incremental buffers", uring.OpBind)
			const size = 256
			b, buffers := bufferGroup(t, r, 4, size, 1, uring.BufferRingIncremental)
			a, z := socketPair(t)
			arm := func() {
				s := next(t, r, target)
				s.PrepRecvSelect(a, 1, 0, true)
				if bundled {
					s.Ioprio |= uring.RecvSendBundle
				}
				submit(t, r)
			}
			arm()
			var sent, got []byte
			id, at := uint16(0), 0 // where the next byte must be
			for round := range 100 {
				piece := pattern(1 + round*31%100)
				write(t, z, string(piece))
				sent = append(sent, piece...)
				for len(got) < len(sent) {
					c := sequence(t, r, target)[0]
					if !c.More() {
						arm()
					}
					if c.Err() == unix.ENOBUFS {
						continue
					}
					first, ok := c.BufferID()
					if c.Err() != nil || !ok || first != id {
						t.Fatalf("round %d: %+v, want buffer %d", round, c, id)
					}
					for left := int(c.Res); left > 0; {
						n := min(left, size-at)
						got = append(got, buffers[id][at:at+n]...)
						left -= n
						if at += n; at == size {
							giveBack(b, buffers, id)
							id, at = (id+1)%4, 0
						}
					}
					if more := c.Flags&uring.CQEFBufMore != 0; more != (at != 0) {
						t.Fatalf("round %d: more to come in the buffer: %v, at %d", round, more, at)
					}
				}
			}
			if !bytes.Equal(got, sent) {
				t.Errorf("%d bytes of %d, mixed up", len(got), len(sent))
			}
		})
	}
}

// TestIncrementalBufferSkipsBytesOfFiles reads a file and a pipe piece by piece.
func TestIncrementalBufferSkipsBytesOfFiles(t *testing.T) {
	r := newRing(t, 8, uring.Config{})
	since(t, r, "incremental buffers that tell files", uring.OpPipe)
	_, buffers := bufferGroup(t, r, 1, 100, 1, uring.BufferRingIncremental)
	content := pattern(100)
	f := openFile(t, string(content))
	in, out := pipe(t)
	for at := 0; at < 100; at += 25 {
		fd, off := int(f.Fd()), uint64(at)
		if at == 50 {
			write(t, out, string(content[50:75]))
			fd, off = in, uring.CurrentPosition
		}
		c := do(t, r, func(s *uring.SQE) {
			s.PrepRead(fd, nil, off)
			s.Flags |= uring.SQEBufferSelect
			s.BufIndex, s.Len = 1, 25
		})
		if id, ok := c.BufferID(); !ok || id != 0 || c.Res != 25 || !bytes.Equal(buffers[0][:at+25], content[:at+25]) {
			t.Fatalf("at %d: %+v, %v", at, c, buffers[0])
		}
		// Not every kernel tells of a file's buffer that there is more to come.
		if c.Flags&uring.CQEFBufMore != 0 && at == 75 {
			t.Errorf("at %d: %+v, but the buffer is used up", at, c)
		}
	}
}
