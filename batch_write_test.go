package eddy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/eddyio/eddy"
)

// scattered is data in pieces of all sizes, in no order.
func scattered(data []byte) []eddy.BatchWrite {
	random := rand.New(rand.NewPCG(1, uint64(len(data))))
	var writes []eddy.BatchWrite
	for off := 0; off < len(data); {
		n := min(1+random.IntN(9000), len(data)-off)
		writes = append(writes, eddy.BatchWrite{Buf: data[off : off+n], Off: int64(off), N: 77, Err: io.ErrNoProgress})
		off += n
	}
	random.Shuffle(len(writes), func(i, j int) { writes[i], writes[j] = writes[j], writes[i] })
	return writes
}

// wantWritten fails the test unless all of each write was done.
func wantWritten(t testing.TB, writes []eddy.BatchWrite, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("the batch: %v", err)
	}
	for i, w := range writes {
		if w.N != len(w.Buf) || w.Err != nil {
			t.Errorf("write %d of %d bytes: %d, %v", i, len(w.Buf), w.N, w.Err)
		}
	}
}

func TestBatchWritesOtherBytes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		cancelable, cancel := context.WithCancel(t.Context())
		defer cancel()
		// One that fits on a ring of the caller's own, and one that does not.
		for _, size := range []int{100_000, 3_000_000} {
			for _, ctx := range []context.Context{context.Background(), cancelable} {
				data := pattern(size)
				f := open(t, d, tempFile(t, nil), os.O_RDWR)
				writes := scattered(data)
				wantWritten(t, writes, f.WriteBatch(ctx, writes))
				if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes written: %d are read, %v, or others", size, len(got), err)
				}
			}
		}
	})
}

// More than an abandonable transfer moves at once, and pieces of several kinds.
func TestLargePieceOfABatchIsCutShort(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		data := pattern(3<<20 + 5)
		f := open(t, d, tempFile(t, nil), os.O_RDWR)
		writes := []eddy.BatchWrite{{Buf: data[1<<20:], Off: 1 << 20}, {}, {Buf: data[:1<<20]}}
		wantWritten(t, writes, f.WriteBatch(ctx, writes))
		reads := []eddy.BatchRead{{Buf: make([]byte, 2<<20), Off: 1 << 20}, {Buf: make([]byte, 1<<20)}, {Buf: make([]byte, 6), Off: 3 << 20}}
		if err := f.ReadBatch(ctx, reads); err != io.EOF || reads[2].N != 5 { //nolint:errorlint // bare
			t.Errorf("reads: %v, %d bytes at the end", err, reads[2].N)
		}
		if got := append(reads[1].Buf, append(reads[0].Buf, reads[2].Buf[:5]...)...); !bytes.Equal(got, data) {
			t.Error("what was written is not what is read")
		}
	})
}

func TestBatchWithBadWritesLosesTheGoodOnes(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		cancelable, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, ctx := range []context.Context{context.Background(), cancelable} {
			f := open(t, d, tempFile(t, nil), os.O_RDWR)
			writes := []eddy.BatchWrite{
				{Buf: []byte("one"), Off: 0},
				{Buf: []byte("two"), Off: -3},
				{Buf: nil, Off: 1 << 40},
				{Buf: []byte("far"), Off: 1<<63 - 2}, // past where any file ends
				{Buf: []byte("three"), Off: 3},
			}
			err := f.WriteBatch(ctx, writes)
			if err == nil || err != writes[1].Err { //nolint:errorlint // the very same error
				t.Errorf("the batch's error is %v, the first write's that failed %v", err, writes[1].Err)
			}
			for i, want := range []int{3, 0, 0, 0, 5} {
				if w := writes[i]; w.N != want || (w.Err != nil) != (i == 1 || i == 3) {
					t.Errorf("write %d: %d, %v", i, w.N, w.Err)
				}
			}
			for _, i := range []int{1, 3} {
				std, openErr := os.OpenFile(f.Name(), os.O_RDWR, 0)
				if openErr != nil {
					t.Fatal(openErr)
				}
				_, want := std.WriteAt(writes[i].Buf, writes[i].Off)
				std.Close()
				if why := differ(want, writes[i].Err, [2]string{}); why != "" {
					t.Errorf("write %d: %s", i, why)
				}
			}
			if got, err := os.ReadFile(f.Name()); err != nil || string(got) != "onethree" {
				t.Errorf("the file has %q, %v", got, err)
			}
		}
	})
}

func TestBatchWritesIntoAnAppendedFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		name := tempFile(t, []byte("before"))
		f := open(t, d, name, os.O_WRONLY|os.O_APPEND)
		_, want := f.WriteAt([]byte("x"), 0)
		writes := []eddy.BatchWrite{{Buf: []byte("x"), N: 1}, {Buf: []byte("y"), Off: 1, N: 1}}
		err := f.WriteBatch(context.Background(), writes)
		if err == nil || err.Error() != want.Error() {
			t.Errorf("%v, want %v", err, want)
		}
		for i, w := range writes {
			if w.N != 0 || w.Err != err { //nolint:errorlint // the very same error
				t.Errorf("write %d: %d, %v", i, w.N, w.Err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != "before" {
			t.Errorf("the file has %q, %v", got, err)
		}
	})
}

// A pipe has no offsets; as with os.File each write says so.
func TestBatchWritesToAPipe(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, want := w.WriteAt([]byte("x"), 0)
		f, err := d.AdoptFile(w)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		writes := []eddy.BatchWrite{{Buf: []byte("x")}, {Buf: []byte("y"), Off: 1}}
		err = f.WriteBatch(context.Background(), writes)
		var path *fs.PathError
		if !errors.As(err, &path) || !errors.Is(want, path.Err) || writes[1].Err == nil {
			t.Errorf("%v and %v, want %v", err, writes[1].Err, want)
		}
	})
}
