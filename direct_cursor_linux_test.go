package eddy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eddyio/eddy"
)

func alignedBlock(n int, fill byte) []byte {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for i := range p {
		p[i] = fill
	}
	return p
}

// Read and Write of an O_DIRECT file advance its offset, with a deadline as
// without.
func TestDeadlineStopsTheOffsetOfADirectFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, d *eddy.Driver) {
		for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
			name := tempFile(t, make([]byte, 16384)) // a file that has its blocks: the kernel need not wait
			blocks, err := os.OpenFile(name, os.O_RDWR, 0)
			if err == nil {
				err = errors.Join(blocks.Sync(), blocks.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			f := open(t, d, name, os.O_RDWR|unix.O_DIRECT)
			if err := f.SetDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			var want []byte
			for _, c := range []byte("abcd") {
				block := alignedBlock(4096, c)
				want = append(want, block...)
				if n, err := f.Write(block); n != 4096 || err != nil {
					t.Fatal(n, err)
				}
			}
			got, err := os.ReadFile(name)
			if err != nil || !bytes.Equal(got, want) {
				at, _ := f.Seek(0, io.SeekCurrent)
				t.Errorf("deadline %v: after four Writes, of a to d, the file begins with %q, its blocks are %q %q %q %q, and the offset is %d", !deadline.IsZero(), got[:1], got[0], got[4096], got[8192], got[12288], at)
			}
			if err := os.WriteFile(name, want, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got = got[:0]
			block := alignedBlock(4096, 0)
			for range 5 {
				n, err := f.Read(block)
				got = append(got, block[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("deadline %v: reading a file of %d bytes gave %d bytes, the same block again and again", !deadline.IsZero(), len(want), len(got))
			}
		}
	})
}
