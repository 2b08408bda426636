//go:build linux && (amd64 || arm64)

package eddy_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/eddyio/eddy"
)

// A system call moves 0x7ffff000 bytes at most, and a completion's result has
// 32 bits: more than that in one call comes back whole all the same. The
// file is a hole but for its ends.
func TestMoreThanTwoGiBInOneCallIsShort(t *testing.T) {
	const size = 2<<30 + 4096
	needMemory(t, size+size/4)
	p := mapped(t, size+4096)
	eachBackendOnce(t, func(t *testing.T, d *eddy.Driver) {
		f := open(t, d, filepath.Join(memoryDir(t), "sparse"), os.O_RDWR|os.O_CREATE)
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		for _, off := range []int64{0, 2 << 30} {
			if n, err := f.WriteAt(pattern(4096), off); n != 4096 || err != nil {
				t.Fatal(n, err)
			}
		}
		fillCanary(p[:4096])
		fillCanary(p[2<<30:])
		n, err := f.ReadAt(p[:size], 0)
		if n != size || err != nil {
			t.Fatalf("%d of %d bytes, %v", n, size, err)
		}
		if string(p[:4096]) != string(pattern(4096)) || string(p[2<<30:size]) != string(pattern(4096)) || !isCanary(p[size:]) {
			t.Error("the ends have wrong bytes")
		}
		// From the end of the file: little is touched, the length is the same.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, c := range []context.Context{context.Background(), ctx} {
			if n, err := f.ReadAtContext(c, p, size-100); n != 100 || err != io.EOF { //nolint:errorlint // bare
				t.Errorf("at the end: %d, %v", n, err)
			}
		}
		reads := []eddy.BatchRead{{Buf: p, Off: size - 100}, {Buf: make([]byte, 10), Off: 5}}
		if err := f.ReadBatch(context.Background(), reads); reads[0].N != 100 || reads[1].N != 10 || err != io.EOF { //nolint:errorlint // bare
			t.Errorf("in a batch: %d, %d, %v", reads[0].N, reads[1].N, err)
		}
	})
}
